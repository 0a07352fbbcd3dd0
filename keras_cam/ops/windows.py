"""Windows: parts of images enlarged to the size of an image, and their maps pasted into the whole."""

from typing import Any

from keras import ops

from keras_cam.ops.gathering import gather_rows


def crop_and_resize(images: Any, windows: Any, size_hw: tuple[Any, Any]) -> Any:
    """Cut windows out of images and resize each to one size, by bilinear interpolation.

    Positions are those of pixel centres, as in `tf.image.resize`; `tf.image.crop_and_resize` aligns corners
    instead, and LiteRT does not have it. Outside an image its border is repeated. There is no antialiasing:
    windows should not be reduced.

    Args:
        images: float tensor (B, H, W, C).
        windows: float32 (B, N, 4), ymin, xmin, ymax, xmax in [0, 1] of the image.
        size_hw: the height and width of the result, each an int or a scalar integer tensor.

    Returns:
        Tensor (B * N, height, width, C), the windows of the first image first.

    Examples:
        >>> import numpy as np
        >>> row = np.arange(8, dtype="float32").reshape(1, 1, 8, 1)
        >>> right_half = np.array([[[0, 0.5, 1, 1]]], "float32")
        >>> crop_and_resize(row, right_half, (1, 4)).numpy().ravel().tolist()
        [4.0, 5.0, 6.0, 7.0]
    """
    top, left, bottom, right = ops.split(windows, 4, axis=2)
    rows = top + (bottom - top) * centres(size_hw[0])
    columns = left + (right - left) * centres(size_hw[1])
    return _sampled(images, rows, columns)


def paste(maps: Any, windows: Any, size_hw: tuple[Any, Any]) -> Any:
    """Put maps of windows to their places in the whole image, by bilinear interpolation; 0 outside.

    Args:
        maps: float tensor (N, h, w), a map for each window.
        windows: float32 (N, 4), ymin, xmin, ymax, xmax in [0, 1] of the image, none of them empty.
        size_hw: the height and width of the result, each an int or a scalar integer tensor.

    Returns:
        `(pasted, inside)`: tensor (N, height, width); and float32 of the same shape, 1 inside the window and
        0 outside.

    Examples:
        >>> import numpy as np
        >>> pasted, inside = paste(np.full((1, 2, 2), 3.0), np.array([[0, 0.5, 1, 1]]), (1, 4))
        >>> pasted.numpy().tolist(), inside.numpy().tolist()
        ([[[0.0, 0.0, 3.0, 3.0]]], [[[0.0, 0.0, 1.0, 1.0]]])
    """
    top, left, bottom, right = ops.split(ops.cast(windows, "float32"), 4, axis=1)
    rows = (centres(size_hw[0]) - top) / (bottom - top)
    columns = (centres(size_hw[1]) - left) / (right - left)
    values = ops.expand_dims(ops.cast(maps, "float32"), -1)
    pasted = ops.squeeze(_sampled(values, ops.expand_dims(rows, 1), ops.expand_dims(columns, 1)), -1)
    inside = ops.expand_dims(_is_inside(rows), 2) * ops.expand_dims(_is_inside(columns), 1)
    return pasted * inside, inside


def boxes_in_image(boxes: Any, windows: Any) -> Any:
    """The places in the image of boxes in windows.

    Args:
        boxes: float tensor (..., 4), ymin, xmin, ymax, xmax in [0, 1] of each box's window.
        windows: float tensor (..., 4), the same of the image.

    Examples:
        >>> boxes_in_image([[0.0, 0.0, 0.5, 1.0]], [[0.5, 0.25, 1.0, 0.5]]).numpy().tolist()
        [[0.5, 0.25, 0.75, 0.5]]
    """
    corner, opposite = ops.split(ops.convert_to_tensor(windows), 2, axis=-1)
    side = opposite - corner
    return ops.concatenate([corner, corner], -1) + boxes * ops.concatenate([side, side], -1)


def centres(length: Any) -> Any:
    """The centres of the positions along a side of length 1: float32 (length,)."""
    return (ops.arange(length, dtype="float32") + 0.5) / ops.cast(length, "float32")


def _is_inside(positions: Any) -> Any:
    return ops.cast(ops.logical_and(positions >= 0, positions <= 1), "float32")


def _sampled(images: Any, rows: Any, columns: Any) -> Any:
    """Images (B, H, W, C) at rows (B, N, h) and columns (B, N, w) in [0, 1]: (B * N, h, w, C)."""
    channels = images.shape[-1]
    height, width = ops.shape(rows)[2], ops.shape(columns)[2]
    old_width = ops.shape(images)[2]
    down = _sampled_rows(images, rows)  # (B, N * h, W, C)
    down = ops.reshape(down, (-1, height, old_width, channels))
    columns = ops.reshape(columns, (-1, 1, width))
    across = _sampled_rows(ops.transpose(down, (0, 2, 1, 3)), columns)
    return ops.transpose(ops.reshape(across, (-1, width, height, channels)), (0, 2, 1, 3))


def _sampled_rows(images: Any, positions: Any) -> Any:
    """Rows of images (B, H, W, C) at positions (B, N, h) in [0, 1]: (B, N * h, W, C)."""
    height = ops.shape(images)[1]
    last = ops.cast(height - 1, "float32")
    place = ops.reshape(positions, (-1, ops.shape(positions)[1] * ops.shape(positions)[2]))
    place = ops.clip(place * ops.cast(height, "float32") - 0.5, 0.0, last)
    before = ops.floor(place)
    first, second = (
        gather_rows(images, ops.cast(index, "int32")) for index in (before, ops.minimum(before + 1, last))
    )
    # Not `[..., None]`: LiteRT has no new axes for slices of unknown shape.
    return first + (second - first) * ops.expand_dims(ops.expand_dims(place - before, -1), -1)
