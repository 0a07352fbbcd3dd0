"""Figures and pictures for TensorBoard.

TensorFlow itself is used here for `tf.summary`, which needs the package tensorboard.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tensorflow as tf


class TensorBoardLog:
    """Writes events if the package `tensorboard` is installed; else it does nothing.

    Args:
        folder: the folder of the events.
    """

    def __init__(self, folder: str | Path):
        self._writer = tf.summary.create_file_writer(str(folder)) if self.available() else None

    @staticmethod
    def available() -> bool:
        """Whether the package `tensorboard` is installed."""
        return find_spec("tensorboard") is not None

    def write(self, step: int, figures: Mapping[str, float], picture: np.ndarray | None = None) -> None:
        """Write figures, and a picture uint8 (H, W, 3)."""
        if self._writer is None:
            return
        try:
            with self._writer.as_default(step=step):
                for name, value in figures.items():
                    tf.summary.scalar(name, value)
                if picture is not None:
                    tf.summary.image("maps and boxes of validation images", picture[None])
            self._writer.flush()
        except tf.errors.OpError as error:
            raise OSError(error.message) from error
