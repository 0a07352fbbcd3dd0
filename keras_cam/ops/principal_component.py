"""The first principal component of feature maps, without a singular value decomposition."""

from typing import Any

from keras import ops

_SQUARINGS = 10  # (second largest / largest eigenvalue) ** 1024: 3e-5 if they differ by a hundredth


def principal_component(features: Any) -> Any:
    """Project the centred features of each position on the direction in which they vary most.

    The direction is an eigenvector of the smaller Gram matrix of the features, (h w, h w) or (C, C), found by
    power iteration: the matrix is squared ten times. Unlike a singular value decomposition, this exports to
    LiteRT and ONNX. An eigenvector has no sign of its own; here the sum of its elements is not negative, so
    that the map rises where the sum of all channels rises.

    Args:
        features: float32 (B, h, w, C). If h or w is unknown, the matrix is (C, C).

    Returns:
        float32 (B, h, w), with mean 0. All zero if the features are the same at all positions.

    Examples: three positions along the direction (3, 4).
        >>> import numpy as np
        >>> features = np.array([[[[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]]], "float32")
        >>> np.round(principal_component(features), 4).tolist()
        [[[-5.0, 0.0, 5.0]]]
    """
    batch, height, width, channels = ops.shape(features)
    values = ops.reshape(features, (batch, height * width, channels))
    values = values - ops.mean(values, axis=1, keepdims=True)
    transposed = ops.transpose(values, (0, 2, 1))
    if isinstance(height, int) and isinstance(width, int) and height * width <= channels:
        positions = _first_eigenvector(ops.matmul(values, transposed))
        direction = _unit(ops.matmul(transposed, positions))
    else:
        direction = _first_eigenvector(ops.matmul(transposed, values))
    sign = ops.where(ops.sum(direction, axis=1, keepdims=True) < 0, -1.0, 1.0)
    return ops.reshape(ops.matmul(values, direction * sign), (batch, height, width))


def _first_eigenvector(matrices: Any) -> Any:
    """Unit eigenvectors (B, n, 1) of the largest eigenvalues of positive semidefinite matrices (B, n, n)."""
    for _ in range(_SQUARINGS):
        matrices = _over_trace(matrices)
        matrices = ops.matmul(matrices, matrices)
    # Now of rank one, so that each column is the eigenvector times one of its elements: the largest is taken.
    diagonal = ops.diagonal(matrices, axis1=1, axis2=2)
    largest = ops.one_hot(ops.argmax(diagonal, axis=1), diagonal.shape[1], dtype=diagonal.dtype)
    return _unit(ops.matmul(matrices, largest[:, :, None]))


def _over_trace(matrices: Any) -> Any:
    trace = ops.sum(ops.diagonal(matrices, axis1=1, axis2=2), axis=1)
    return matrices / ops.maximum(trace, 1e-30)[:, None, None]


def _unit(vectors: Any) -> Any:
    return vectors / ops.maximum(ops.sqrt(ops.sum(ops.square(vectors), axis=1, keepdims=True)), 1e-30)
