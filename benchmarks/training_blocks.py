"""What benchmarks of training measure: blocks of steps."""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_cam.training.stage import step_function


def block_of_steps(model: keras.Model, steps: int) -> Callable[[tf.data.Dataset], None]:
    """A function that trains a compiled model by our step, on the first batches of a dataset.

    It returns when the device is done.
    """
    step = step_function(tf.distribute.get_strategy(), model)

    def train_on(batches: tf.data.Dataset) -> None:
        iterator = iter(batches)
        for _ in range(steps):
            step(iterator)
        model.get_metrics_result()

    return train_on
