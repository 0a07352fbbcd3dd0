"""The command line `keras-cam`. What each command does is in `keras_cam.cli.commands`."""

import argparse
import os
import sys
from collections.abc import Sequence

import keras_cam
from keras_cam.cli.commands import (
    ask,
    benchmark,
    concept,
    demo,
    evaluate,
    export,
    features,
    finegrained,
    foreground,
    label_studio,
    localize,
    models,
    objects,
    train,
    units,
    vqa,
)
from keras_cam.cli.console import complain
from keras_cam.cli.usage import INTERRUPTED, SOME_FAILED, USAGE, UsageError

COMMANDS = (
    localize,
    demo,
    train,
    foreground,
    evaluate,
    export,
    label_studio,
    models,
    features,
    benchmark,
    concept,
    objects,
    finegrained,
    units,
    vqa,
    ask,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; None takes those of the process.

    Returns:
        The exit status: 0 all done, 1 some inputs failed, 2 wrong usage, 130 interrupted.
    """
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except UsageError as error:
        complain(f"error: {error}")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-cam",
        description="Classes, class activation maps and boxes from image classifiers, in one forward pass.",
        epilog="Exit status: 0 all done, 1 some inputs failed (each is named on stderr), 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"keras-cam {keras_cam.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
