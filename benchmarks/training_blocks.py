"""What benchmarks of training measure: blocks of steps."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_cam.graph.keras_internals import build_for_batch
from keras_cam.training.stage import step_function


def block_of_steps(model: keras.Model, steps: int, batch: Any) -> Callable[[tf.data.Dataset], None]:
    """A function that trains a compiled model by our step, on the first batches of a dataset.

    It returns when the device is done. `batch` is an example of a batch.
    """
    build_for_batch(model, batch)
    step = step_function(tf.distribute.get_strategy(), model)

    def train_on(batches: tf.data.Dataset) -> None:
        iterator = iter(batches)
        for _ in range(steps):
            step(iterator)
        model.get_metrics_result()

    return train_on
