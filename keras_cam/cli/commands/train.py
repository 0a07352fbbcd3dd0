"""`keras-cam train`: a classifier whose maps localize, from images with labels."""

import argparse
import os
import shlex
import sys
from typing import Any

from absl import flags
from absl.flags import argparse_flags

from keras_cam.cli.console import complain
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, UsageError

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "config",
    None,
    "NAME|FILE.py: a ready configuration or a Python file with get_config()",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "data",
    None,
    "PATH: COCO JSON, a folder a class, CSV, TFRecord, CUB-200-2011, tfds:NAME",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "output", "keras-cam-run", "RUN: the folder of the run, also to go on with", flag_values=FLAGS
)
flags.DEFINE_string(
    "strategy", "auto", "one_device|mirrored|multi_worker|tpu|auto: where to compute", flag_values=FLAGS
)
flags.DEFINE_multi_string("set", [], "KEY=VALUE: another value, such as stages.0.epochs=5", flag_values=FLAGS)
flags.mark_flag_as_required("config", flag_values=FLAGS)


def add_parser(commands: Any) -> None:
    """Adds the command to those of `keras-cam`."""
    for name in FLAGS:
        FLAGS.register_key_flag_for_module(sys.argv[0], FLAGS[name])  # else help would not tell of it
    own = argparse_flags.ArgumentParser(add_help=False, inherited_absl_flags=FLAGS)
    parser = commands.add_parser(
        "train", parents=[own], help="train a classifier on labelled images; goes on where it stopped"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trains, or goes on with what was begun."""
    FLAGS.mark_as_parsed()
    try:
        FLAGS.validate_all_flags()
        return _train(FLAGS.config, FLAGS.data, FLAGS.output, FLAGS.strategy, list(FLAGS.set))
    except flags.IllegalFlagValueError as error:
        raise UsageError(str(error)) from error
    finally:
        FLAGS.unparse_flags()


def _train(config: str, data: str | None, output: str, strategy: str, changes: list[str]) -> int:
    import_quietly(start_devices=False)

    from keras_cam.training import DivergedError, WorkerLostError, load_config, train

    command = [
        "keras-cam",
        "train",
        "--config",
        config,
        *(["--data", data] if data else []),
        "--output",
        output,
    ]
    command += [part for change in changes for part in ("--set", change)]
    try:
        train(
            load_config(config, changes), data, output, strategy, report=_report, command=shlex.join(command)
        )
    except WorkerLostError as error:
        complain(f"{error} Starting again, from the last checkpoint.")
        # What TensorFlow knows of the other workers cannot be renewed within a process.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    except (ValueError, ImportError, DivergedError) as error:
        raise UsageError(str(error)) from error
    return DONE


def _report(line: str) -> None:
    print(line, flush=True)
