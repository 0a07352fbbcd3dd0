"""Area interpolation, computed as matrix products."""

from typing import Any

from keras import ops


def area_resize(images: Any, size_hw: tuple[Any, Any]) -> Any:
    """Resize with area interpolation: each output position is the mean of the input area that it covers.

    The mean over the image does not change. Reducing by an integer factor is average pooling; enlarging by
    an integer factor is nearest-neighbour repetition.

    Args:
        images: float tensor (B, h, w, C).
        size_hw: the new height and width, each an int or a scalar integer tensor.

    Returns:
        Tensor (B, height, width, C).

    Examples:
        >>> import numpy as np
        >>> row = np.array([1.0, 2.0, 7.0, 6.0, 5.0, 0.0], "float32").reshape(1, 1, 6, 1)
        >>> print(area_resize(row, (1, 4)).numpy().ravel().round(3))  # the first is (1 + 2 / 2) / 1.5
        [1.333 5.333 5.667 1.667]
    """
    batch, height, width, channels = ops.shape(images)
    new_height, new_width = size_hw
    down = ops.matmul(_shares(height, new_height), ops.reshape(images, (batch, height, width * channels)))
    rows = ops.reshape(down, (batch * new_height, width, channels))
    across = ops.matmul(_shares(width, new_width), rows)
    return ops.reshape(across, (batch, new_height, new_width, channels))


def _shares(length: Any, new_length: Any) -> Any:
    """The weights of the input positions in each output position: (new_length, length); rows sum to 1."""
    step = ops.cast(length, "float32") / ops.cast(new_length, "float32")
    old = ops.arange(length, dtype="float32")
    start = ops.arange(new_length, dtype="float32")[:, None] * step
    return ops.relu(ops.minimum(old + 1, start + step) - ops.maximum(old, start)) / step
