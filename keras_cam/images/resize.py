"""Resizing photos to the input size of a model.

Only two other modules resize photos: `keras_cam.export.decode_images`, inside the graph of a SavedModel, and
`keras_cam.training.image_crop`, which is faster and less accurate, for training.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_cam.recipes import DEFAULT_IMAGE_SIZE


def input_size_hw(shape: Sequence[int | None], default: int = DEFAULT_IMAGE_SIZE) -> tuple[int, int]:
    """The height and width to which photos are resized for a model.

    Args:
        shape: the shape of the model's input, (B, H, W, C); None stands for any size.
        default: the height or width to use where `shape` has None.

    Examples:
        >>> input_size_hw((None, 240, None, 3))
        (240, 224)
    """
    _, height, width, _ = shape
    return height or default, width or default


def resize(photo: np.ndarray, size_hw: tuple[int, int], window: Sequence[float] | None = None) -> np.ndarray:
    """Resize a photo or a part of it: bicubic, antialiased, clipped to the range of its values.

    The range of 8-bit pixels is 0..255; that of other integers and of floats is from the photo's own minimum
    to its maximum.

    Without antialiasing, most pixels of a large photo would be ignored. Bicubic interpolation was used in the
    published evaluation of the EfficientNets.

    Args:
        photo: (H, W, C), integers or floats; usually uint8 (H, W, 3), RGB.
        size_hw: the height and width of the result.
        window: the part, as ymin, xmin, ymax, xmax in [0, 1] of the photo; None: all of it.

    Returns:
        float32 (height, width, C); within 1/100 grey level of
        `tf.image.resize(photo, size_hw, "bicubic", antialias=True)`.

    Examples:
        >>> resize(np.full((4, 6, 3), 7, np.uint8), (2, 2))[0, 0].tolist()
        [7.0, 7.0, 7.0]
    """
    height, width = size_hw
    box_xyxy = None
    if window is not None:
        top, left, bottom, right = np.clip(window, 0, 1) * np.tile(photo.shape[:2], 2)
        box_xyxy = (left, top, right, bottom)
    elif photo.shape[:2] == (height, width):
        return photo.astype(np.float32)
    # Each channel as float: for RGB, Pillow clips and rounds between its two passes.
    resized = np.empty((height, width, photo.shape[-1]), np.float32)
    for channel in range(photo.shape[-1]):
        values = Image.fromarray(photo[..., channel].astype(np.float32))
        resized[..., channel] = np.asarray(values.resize((width, height), Image.Resampling.BICUBIC, box_xyxy))
    low, high = (0, 255) if photo.dtype == np.uint8 else (photo.min(), photo.max())
    return np.clip(resized, low, high, out=resized)
