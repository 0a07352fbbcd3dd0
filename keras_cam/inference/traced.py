"""Functions that TensorFlow traces once for batches of any size.

TensorFlow itself is used here for `tf.function`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf


def traced(
    function: Callable[..., Any], *arguments: Any, signature: Sequence[tf.TensorSpec] | None = None
) -> Any:
    """`function(*arguments, ...)` as a `tf.function`, traced once for batches of any size.

    TensorFlow counts how often a piece of code is traced, and warns. It would count the localizers of a
    process, each of which is traced once; it does not count those of a `partial`.

    Args:
        function: what to trace.
        arguments: its first arguments, such as models.
        signature: the shapes and types of the other ones, as in `tf.function`.

    Examples:
        >>> double = traced(tf.multiply, 2.0, signature=[tf.TensorSpec((None,))])
        >>> double(tf.constant([1.0, 3.0])).numpy().tolist()
        [2.0, 6.0]
    """
    return tf.function(partial(function, *arguments), signature, reduce_retracing=True)
