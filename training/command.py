"""The flags and the work of the commands `keras-cam train` and `python -m keras_cam.training`.

TensorFlow is imported when the run begins, so that wrong flags are refused at once.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from absl import flags

from keras_cam.training.config import ConfigError, TrainingConfig
from keras_cam.training.config_files import config_of, define_config_flag, parse_flags


@dataclass(frozen=True)
class Run:
    """What a command line asks for.

    Attributes:
        config: the configuration.
        data: the images; None for those that the configuration names.
        output: the folder of the run.
        strategy: one of `keras_cam.training.STRATEGIES`.
    """

    config: TrainingConfig
    data: str | None
    output: str
    strategy: str


def define_flags(flag_values: flags.FlagValues, argv: Sequence[str] | None = None) -> None:
    """Define the flags of a run.

    Args:
        flag_values: where they are defined.
        argv: the command line; None for that of the process.
    """
    define_config_flag(flag_values, argv)
    flags.DEFINE_string(
        "data",
        None,
        "PATH: COCO JSON, a folder for each class, CSV, TFRecord, CUB-200-2011 or tfds:NAME; same as DATA",
        flag_values,
    )
    flags.DEFINE_string(
        "output", "keras-cam-run", "RUN: the folder of the run; an interrupted run goes on", flag_values
    )
    flags.DEFINE_string(
        "strategy",
        "auto",
        "auto|one_device|mirrored|multi_worker|tpu: the devices. one_device: a GPU or the CPU; mirrored: all "
        "GPUs of this machine; multi_worker: several machines; auto: chosen by what is there",
        flag_values,
    )
    flags.DEFINE_string(
        "validation",
        None,
        "SPLIT|FRACTION|none: the images to validate on: a split of the data, such as test; a fraction of "
        "each class, such as 0.2, held back; or none. Same as --config.validation_split",
        flag_values,
    )
    flag_values.set_gnu_getopt(True)  # DATA may come before the flags


def parse_run(argv: Sequence[str]) -> Run:
    """The run of a command line, whose first entry is the name of the program.

    Raises:
        ConfigError: a flag or the configuration is not valid.
    """
    flag_values = flags.FlagValues()
    define_flags(flag_values, argv)
    return run_of(flag_values, parse_flags(flag_values, argv))


def run_of(flag_values: flags.FlagValues, arguments: Sequence[str]) -> Run:
    """The run of flags that are parsed, and of the arguments that are not flags: none, or the data.

    Raises:
        ConfigError: the configuration is not valid, or the data are given twice.
    """
    data = [*arguments, *([flag_values.data] if flag_values.data else [])]
    if len(data) > 1:
        raise ConfigError(f"`data` must be one path. Received: {' '.join(data)}")
    config = config_of(flag_values)
    if flag_values.validation is not None:
        split = _validation(flag_values.validation)
        select = "last" if split is None else config.select
        config = dataclasses.replace(config, validation_split=split, select=select)
    return Run(config, data[0] if data else None, flag_values.output, flag_values.strategy)


def _validation(text: str) -> str | float | None:
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        return text


def train_run(run: Run, command: str, report: Callable[[str], None], warn: Callable[[str], None]) -> None:
    """Train; if another worker is lost, start the process again and go on from the last checkpoint.

    Args:
        run: the run.
        command: the command line, for the model card.
        report: called with each line about the progress.
        warn: called with the reason for starting again.
    """
    from keras_cam.training.run import train
    from keras_cam.training.strategies import WorkerLostError

    try:
        train(run.config, run.data, run.output, run.strategy, report=report, command=command)
    except WorkerLostError as error:
        warn(f"{error} Starting again from the last checkpoint.")
        # TensorFlow cannot connect to other workers twice in a process.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
