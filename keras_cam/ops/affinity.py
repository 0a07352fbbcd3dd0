"""Affinity: the similarity of an image's positions, computed from features; and maps spread by it."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf  # `tf.reduce_max`, as in `components.py`
from keras import ops

# Maps in [0, 1] that vary by less are constant up to rounding.
_FLAT = 1e-5


def affinity(features: Sequence[Any]) -> Any:
    """Compute the affinity of all pairs of positions of an image: `relu(mean cosine) ** 2`.

    The image's mean feature vector is subtracted first. The cosine similarity of two positions is averaged
    over the given feature tensors; where the average is negative, the affinity is 0.

    Args:
        features: float tensors (B, N, C); C may differ between them.

    Returns:
        Float tensor (B, N, N), symmetric, in [0, 1].

    Examples:
        >>> import numpy as np
        >>> positions = np.array([[[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]], "float32")
        >>> affinity([positions]).numpy()[0, 0].round(3).tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    directions = ops.concatenate([_directions(kind) for kind in features], axis=-1)
    cosines = ops.matmul(directions, ops.transpose(directions, (0, 2, 1))) / len(features)
    return ops.square(ops.relu(cosines))


def spread(maps: Any, affinities: Any) -> Any:
    """Replace each value of a map by the mean over all positions, weighted by affinity.

    Args:
        maps: float tensor (B, K, N).
        affinities: float tensor (B, N, N), symmetric.

    Returns:
        Float tensor (B, K, N); 0 at a position whose affinities are all 0.

    Examples:
        >>> import numpy as np
        >>> pairs = np.kron(np.eye(2), np.ones((2, 2))).astype("float32")[None]
        >>> spread(np.array([[[1.0, 0.0, 0.0, 0.0]]], "float32"), pairs).numpy().tolist()
        [[[0.5, 0.5, 0.0, 0.0]]]
    """
    totals = ops.sum(affinities, axis=1, keepdims=True)
    return ops.matmul(maps, affinities) / ops.maximum(totals, 1e-12)


def positive_part(maps: Any) -> Any:
    """Set negative values to 0 and divide each map by its maximum.

    Args:
        maps: float tensor (B, K, h, w).

    Returns:
        Float tensor (B, K, h, w) in [0, 1]. A map without a positive value becomes 0; a maximum below 1e-12
        counts as 1e-12.
    """
    positive = ops.relu(maps)
    return positive / ops.maximum(tf.reduce_max(positive, axis=(2, 3), keepdims=True), 1e-12)


def unit_range(maps: Any) -> Any:
    """Rescale each map linearly so that its minimum is 0 and its maximum 1; a constant map becomes 0.

    Args:
        maps: float tensor (B, K, h, w) of values in [0, 1].

    Returns:
        Float tensor (B, K, h, w).

    Examples:
        >>> unit_range([[[[0.25, 0.5, 0.75]]], [[[0.5, 0.5, 0.5]]]]).numpy().tolist()
        [[[[0.0, 0.5, 1.0]]], [[[0.0, 0.0, 0.0]]]]
    """
    maps = ops.convert_to_tensor(maps, "float32")
    lowest = tf.reduce_min(maps, axis=(2, 3), keepdims=True)
    extent = tf.reduce_max(maps, axis=(2, 3), keepdims=True) - lowest
    return ops.where(extent > _FLAT, (maps - lowest) / ops.maximum(extent, _FLAT), 0.0)


def _directions(features: Any) -> Any:
    """The feature vectors minus the image's mean vector, scaled to length 1: (B, N, C)."""
    centred = features - ops.mean(features, axis=1, keepdims=True)
    return centred * ops.rsqrt(ops.maximum(ops.sum(ops.square(centred), axis=-1, keepdims=True), 1e-12))
