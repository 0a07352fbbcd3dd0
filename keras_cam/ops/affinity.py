"""What belongs together in an image, by the features of its positions; and maps spread over it."""

from collections.abc import Sequence
from typing import Any

from keras import ops

# Maps in [0, 1] that vary by less are constant up to rounding.
_FLAT = 1e-5


def affinity(features: Sequence[Any]) -> Any:
    """How much the positions of an image belong together: `relu(mean cosine) ** 2`.

    The cosine is that of the positions' vectors after the image's mean vector is subtracted, averaged over
    the given kinds of features. Positions that differ from the mean in opposite ways have none.

    Args:
        features: float tensors (B, N, C), each with channels of its own.

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
    """Give every position the mean of a map over the positions that belong to it.

    Args:
        maps: float tensor (B, K, N).
        affinities: float tensor (B, N, N), symmetric.

    Returns:
        Float tensor (B, K, N). A position that belongs to none, not even to itself, gets 0.

    Examples:
        >>> import numpy as np
        >>> pairs = np.kron(np.eye(2), np.ones((2, 2))).astype("float32")[None]
        >>> spread(np.array([[[1.0, 0.0, 0.0, 0.0]]], "float32"), pairs).numpy().tolist()
        [[[0.5, 0.5, 0.0, 0.0]]]
    """
    totals = ops.sum(affinities, axis=1, keepdims=True)
    return ops.matmul(maps, affinities) / ops.maximum(totals, 1e-12)


def positive_part(maps: Any) -> Any:
    """Cut what is negative and divide by the maximum, which must not be tiny: maps in [0, 1], or all zero.

    Args:
        maps: float tensor (B, K, h, w).

    Returns:
        Float tensor (B, K, h, w).
    """
    positive = ops.relu(maps)
    return positive / ops.maximum(ops.max(positive, axis=(2, 3), keepdims=True), 1e-12)


def unit_range(maps: Any) -> Any:
    """Stretch each map from 0 to 1. One that is constant says nothing about places and becomes 0.

    Args:
        maps: float tensor (B, K, h, w) of values in [0, 1].

    Returns:
        Float tensor (B, K, h, w).

    Examples:
        >>> unit_range([[[[0.25, 0.5, 0.75]]], [[[0.5, 0.5, 0.5]]]]).numpy().tolist()
        [[[[0.0, 0.5, 1.0]]], [[[0.0, 0.0, 0.0]]]]
    """
    maps = ops.convert_to_tensor(maps, "float32")
    lowest = ops.min(maps, axis=(2, 3), keepdims=True)
    extent = ops.max(maps, axis=(2, 3), keepdims=True) - lowest
    return ops.where(extent > _FLAT, (maps - lowest) / ops.maximum(extent, _FLAT), 0.0)


def _directions(features: Any) -> Any:
    """The vectors of all positions, the mean vector subtracted, as vectors of length 1: (B, N, C)."""
    centred = features - ops.mean(features, axis=1, keepdims=True)
    return centred * ops.rsqrt(ops.maximum(ops.sum(ops.square(centred), axis=-1, keepdims=True), 1e-12))
