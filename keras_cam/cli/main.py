"""The command line `keras-cam`. What each command does is in `keras_cam.cli.commands`."""

import argparse
import errno
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import keras_cam
from keras_cam.check_finite import NotFiniteError
from keras_cam.cli.console import OutputError, complain, say, standard_output
from keras_cam.cli.usage import INTERRUPTED, SOME_FAILED, USAGE, UsageError
from keras_cam.images.files import ImageWarning
from keras_cam.images.sources import reason_of
from keras_cam.inference.model_file import ModelFileError
from keras_cam.plain_text import plain_text

COMMANDS = (
    "localize",
    "demo",
    "train",
    "foreground",
    "evaluate",
    "export",
    "label-studio",
    "models",
    "features",
    "benchmark",
    "concept",
    "objects",
    "finegrained",
    "units",
    "vqa",
    "ask",
)
"""The commands, which are modules in `keras_cam.cli.commands`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; None takes those of the process.

    Returns:
        The exit status: 0 all done, 1 some inputs failed, 2 wrong usage, 130 interrupted.
    """
    try:
        return _run(argv)
    except (UsageError, NotFiniteError, ModelFileError) as error:
        complain(f"error: {error}")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OutputError as error:  # the disk is full, or the reader, such as `head`, has ended
        complain(f"error: standard output: {error}")
        # What is still in the buffer would fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = sys.argv[1:] if argv is None else argv
        args = _parser(arguments[:1]).parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            warnings.simplefilter("default", ImageWarning)
            return args.run(args)
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EPIPE):  # from `print`
            raise OutputError(reason_of(error)) from error
        raise
    finally:
        with standard_output():  # what is still in the buffer, such as the help
            pass


def _show_warning(message: Warning | str, *_: Any) -> None:
    complain(f"warning: {message}")


class _Parser(argparse.ArgumentParser):
    """A parser whose messages show what is invisible in them, and which notices a closed output."""

    def error(self, message: str) -> NoReturn:
        super().error(plain_text(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help or the version; argparse itself hides that it could not."""
        if file is sys.stderr:
            super()._print_message(message, file)
        else:
            with standard_output():
                print(message, end="", file=file)


class _Version(argparse.Action):
    """Prints the version, which takes 30 ms to look up."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        say(f"keras-cam {keras_cam.__version__}")
        parser.exit()


def _parser(command: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of one command, because importing all takes time; or of all, if that is no command."""
    parser = _Parser(
        prog="keras-cam",
        description="Classes, class activation maps and boxes from image classifiers, in one forward pass.",
        epilog="Exit status: 0 all done, 1 some inputs failed (each is named on stderr), 2 wrong usage.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in set(command) & set(COMMANDS) or COMMANDS:
        import_module(f"keras_cam.cli.commands.{name.replace('-', '_')}").add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
