"""Random crops of training images; of a JPEG file only the needed blocks are decoded.

Training decodes and resizes each image many times, so it trades accuracy for speed: a photo of 500 x 375
takes 2.5 ms (a crop of it less) instead of 6.0 ms by `keras_cam.images`. The pixels differ by 1.2 to 1.4 grey
levels on average, of which the resize alone makes 0.7; a test bounds both. Figures, pictures and validation
of a run do not use this module.

TensorFlow itself is used here because it can decode a part of a JPEG file.
"""

import io
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_cam.data import AnnotatedImage
from keras_cam.training.config import Augmentation

# ymin, xmin, height, width in pixels.
Window = tuple[int, int, int, int]

_ATTEMPTS = 10
_UNCHANGED = Augmentation()

WINDOW_DRAWS = 2 * _ATTEMPTS + 2
"""The number of random numbers that choose a window."""

DRAWS = 1 + WINDOW_DRAWS
"""The number of random numbers for an image: one for mirroring, the others for the window."""


def random_window(
    draws: Sequence[float],
    size_hw: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Window:
    """A random part of an image, of random size and proportions.

    Args:
        draws: `WINDOW_DRAWS` random numbers from [0, 1).
        size_hw: height and width of the image.
        scale: the smallest and the largest fraction of the area.
        ratio: the smallest and the largest width divided by height.

    Returns:
        ymin, xmin, height and width in pixels. If ten drawn windows do not fit into the image, the largest
        central window with an allowed ratio.

    Reference:
        Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6.

    Examples:
        >>> random_window([0.5] * WINDOW_DRAWS, (100, 200), scale=(0.25, 0.25), ratio=(2.0, 2.0))
        (25, 50, 50, 100)
    """
    height, width = size_hw
    *attempts, down, across = draws
    for for_area, for_ratio in zip(attempts[::2], attempts[1::2], strict=True):
        area = height * width * (scale[0] + (scale[1] - scale[0]) * for_area)
        aspect = ratio[0] * (ratio[1] / ratio[0]) ** for_ratio
        h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < h <= height and 0 < w <= width:
            return int((height - h + 1) * down), int((width - w + 1) * across), h, w
    aspect = min(max(width / height, ratio[0]), ratio[1])
    h, w = max(1, min(height, round(width / aspect))), max(1, min(width, round(height * aspect)))
    return (height - h) // 2, (width - w) // 2, h, w


def is_plain_jpeg(encoded: bytes) -> bool:
    """Whether bytes look like a complete, upright JPEG file; Pillow decodes all others.

    Examples:
        >>> is_plain_jpeg(b"no photo")
        False
    """
    if not encoded.startswith(b"\xff\xd8") or not encoded.endswith(b"\xff\xd9"):
        return False
    if encoded.find(b"Exif\0", 0, 4096) < 0:
        return True
    with suppress(Exception):  # on unexpected bytes a decoder may raise any exception
        return Image.open(io.BytesIO(encoded)).getexif().get(0x0112, 1) == 1
    return False


def decode_window(encoded: Any, window: Window) -> np.ndarray:
    """A part of a JPEG file, given as bytes or a string tensor: uint8 (height, width, 3).

    Raises:
        tf.errors.InvalidArgumentError: the file cannot be decoded, or the image is smaller.
    """
    # Without interpolating the colour channels, which would take a fifth more time.
    return tf.io.decode_and_crop_jpeg(encoded, window, channels=3, fancy_upscaling=False).numpy()


def resize(pixels: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resize uint8 pixels: bilinearly, or by averaging areas if the size shrinks to less than half."""
    height, width = size_hw
    shrinks = max(pixels.shape[0] / height, pixels.shape[1] / width) > 2
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


class ImageCrops:
    """Reads images or random crops of them.

    Args:
        keep: whether decoded images are kept in memory.
    """

    def __init__(self, keep: bool = False):
        self._kept: dict[str, np.ndarray] | None = {} if keep else None

    def read(
        self,
        image: AnnotatedImage,
        size_hw: tuple[int, int],
        augmentation: Augmentation = _UNCHANGED,
        draws: Sequence[float] = (0.0,) * DRAWS,
    ) -> np.ndarray:
        """Read an image, crop and mirror it at random, and resize it.

        Args:
            image: the image.
            size_hw: the height and width of the result.
            augmentation: only its crops and mirroring apply here.
            draws: `DRAWS` random numbers from [0, 1).

        Returns:
            uint8 (height, width, 3), RGB.

        Raises:
            ImageError: the image cannot be read.
        """
        for_mirroring, *for_window = draws
        resized = resize(self._part(image, augmentation, for_window), size_hw)
        return cv2.flip(resized, 1) if augmentation.flip and for_mirroring < 0.5 else resized

    def _part(self, image: AnnotatedImage, augmentation: Augmentation, draws: Sequence[float]) -> np.ndarray:
        def window_of(size_hw: tuple[int, int]) -> Window:
            if augmentation.crop_scale is None:
                return 0, 0, *size_hw
            return random_window(draws, size_hw, augmentation.crop_scale, augmentation.crop_ratio)

        if self._kept is None:
            return _decoded(image, window_of)
        if image.name not in self._kept:
            self._kept[image.name] = _decoded(image, lambda size_hw: (0, 0, *size_hw))
        photo = self._kept[image.name]
        y, x, height, width = window_of(photo.shape[:2])
        return photo[y : y + height, x : x + width]


def _decoded(image: AnnotatedImage, window_of: Callable[[tuple[int, int]], Window]) -> np.ndarray:
    """The window of an image that `window_of` returns for its size."""
    encoded = image.encoded()
    if encoded is not None and is_plain_jpeg(encoded):
        content = tf.constant(encoded)
        with suppress(tf.errors.InvalidArgumentError):
            size_hw = image.size_wh[::-1] if image.size_wh else _jpeg_size(content)
            return decode_window(content, window_of(size_hw))
    photo = image.read()
    y, x, height, width = window_of(photo.shape[:2])
    return photo[y : y + height, x : x + width]


def _jpeg_size(encoded: Any) -> tuple[int, int]:
    height, width, _ = tf.io.extract_jpeg_shape(encoded).numpy().tolist()
    return height, width
