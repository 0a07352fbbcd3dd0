"""Tracing of models without nested functions and without grouped convolutions.

Uses TensorFlow directly for both.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import tensorflow as tf


@contextmanager
def plain_operations(split_groups: bool = True) -> Iterator[None]:
    """Trace nested `tf.function`s of a model as plain operations.

    Keras compiles grouped convolutions with XLA, which other runtimes do not support. As a plain operation,
    TensorFlow fuses one with its bias and activation, and without oneDNN that is not implemented for groups.
    So each group becomes a convolution of its own.

    Args:
        split_groups: whether to do so; False for a runtime that supports groups.
    """
    before, convolution = tf.config.functions_run_eagerly(), tf.nn.convolution
    tf.config.run_functions_eagerly(True)
    if split_groups:
        tf.nn.convolution = partial(_group_by_group, convolution)
    try:
        yield
    finally:
        tf.nn.convolution = convolution
        tf.config.run_functions_eagerly(before)


def _group_by_group(
    convolution: Callable[..., Any], inputs: Any, kernel: Any, strides: Any, padding: str, **options: Any
) -> Any:
    """A convolution as one convolution for each group of channels."""
    axis = 1 if options["data_format"].startswith("NC") else -1
    groups = inputs.shape[axis] // kernel.shape[-2]
    if groups == 1:
        return convolution(inputs, kernel, strides, padding, **options)
    parts = zip(tf.split(inputs, groups, axis), tf.split(kernel, groups, -1), strict=True)
    outputs = [convolution(*part, strides, padding, **options) for part in parts]
    return tf.concat(outputs, axis)
