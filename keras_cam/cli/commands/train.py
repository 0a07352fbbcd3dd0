"""`keras-cam train`: a classifier whose maps localize, from images with labels.

Its arguments are parsed by absl, as those of `python -m keras_cam.training`: the flags that change values
of a configuration depend on the configuration.
"""

import argparse
import shlex
from typing import Any

from keras_cam.cli.console import complain, say
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError

_USAGE = "usage: keras-cam train DATA [--config NAME|FILE.py] [--config.FIELD=VALUE ...] [--output RUN] ..."


def add_parser(commands: Any) -> None:
    """Add the command to `keras-cam`."""
    parser = commands.add_parser(
        "train",
        help="train a classifier on images with labels; an interrupted run goes on",
        add_help=False,
        prefix_chars="\0",  # to argparse, no argument is an option
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, or go on with an interrupted run."""
    from keras_cam.training.command import parse_run, train_run

    if {"-h", "--help"} & set(args.arguments):
        return _help()
    command = ["keras-cam", "train", *args.arguments]
    try:
        asked = parse_run(command[1:])
        import_quietly(start_devices=False)
        from keras_cam.training import DivergedError, StoppedError
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error
    try:
        train_run(asked, shlex.join(command), _report, complain)
    except (ValueError, ImportError, DivergedError) as error:
        raise UsageError(str(error)) from error
    except StoppedError as error:
        complain(str(error))
        return SOME_FAILED
    return DONE


def _help() -> int:
    from absl import flags

    from keras_cam.training import command, config_files

    flag_values = flags.FlagValues()
    command.define_flags(flag_values, ["train"])
    print(_USAGE)
    for module in (config_files, command):
        print(flag_values.module_help(module.__name__))
    print(f"\nConfigurations: {', '.join(config_files.list_configs())}")
    return DONE


def _report(line: str) -> None:
    say(*line.split("\n"))
