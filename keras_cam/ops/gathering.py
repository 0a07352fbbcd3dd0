"""Gathering rows with one list of indices per image."""

from typing import Any

import tensorflow as tf  # one operation; `keras.ops.take_along_axis` needs twenty, slow at batch size 1


def gather_rows(values: Any, rows: Any) -> Any:
    """Gather rows, with different indices for each image of the batch.

    Args:
        values: tensor (B, N, ...).
        rows: integer tensor (B, K), in [0, N).

    Returns:
        Tensor (B, K, ...).

    Examples:
        >>> gather_rows([[10, 11, 12], [20, 21, 22]], [[2, 0], [1, 1]]).numpy().tolist()
        [[12, 10], [21, 21]]
    """
    return tf.gather(values, rows, batch_dims=1)
