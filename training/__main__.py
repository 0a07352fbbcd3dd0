"""Train a classifier on images with labels, or go on with an interrupted run.

python -m keras_cam.training DATA --config=cub10 --config.batch_size=8 --output=RUN
"""

import shlex
import sys
from collections.abc import Sequence

from absl import app, flags, logging

from keras_cam.training.command import define_flags, run_of, train_run
from keras_cam.training.config import ConfigError
from keras_cam.training.config_files import parse_flags
from keras_cam.training.run import StoppedError

define_flags(flags.FLAGS)
flags.adopt_module_key_flags(sys.modules["keras_cam.training.command"])
flags.adopt_module_key_flags(sys.modules["keras_cam.training.config_files"])


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    command = shlex.join(["python", "-m", "keras_cam.training", *sys.argv[1:]])
    try:
        train_run(run_of(flags.FLAGS, argv[1:]), command, logging.info, logging.warning)
    except ConfigError as error:
        raise app.UsageError(str(error)) from error
    except StoppedError as error:
        sys.exit(str(error))


def parse(argv: Sequence[str]) -> list[str]:
    """Parse the command line; of wrong flags and fields, write what is wrong and exit."""
    try:
        return [argv[0], *parse_flags(flags.FLAGS, argv)]
    except ConfigError as error:
        sys.exit(f"Flags parsing error: {error}\n--help lists the flags.")


if __name__ == "__main__":
    logging.set_verbosity(logging.INFO)  # --verbosity changes it
    app.run(main, flags_parser=parse)
