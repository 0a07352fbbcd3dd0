"""A part of a photo, of which only the needed blocks are decoded.

TensorFlow itself is used here because it can decode a part of a JPEG file.
"""

import io
import math
from contextlib import suppress

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_cam.data import AnnotatedImage

# ymin, xmin, height, width in pixels.
Window = tuple[int, int, int, int]

_ATTEMPTS = 10


def random_window(
    rng: np.random.Generator,
    size_hw: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Window:
    """A random part of an image, of random size and proportions.

    Args:
        rng: where chance comes from.
        size_hw: height and width of the image.
        scale: the least and the largest part of the area.
        ratio: the least and the largest width for a height of 1.

    Returns:
        ymin, xmin, height and width in pixels; the largest window of a fitting ratio in the middle if ten
        drawn ones do not fit.

    Reference:
        Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6.

    Example:
        >>> random_window(np.random.default_rng(0), (100, 200), scale=(1.0, 1.0), ratio=(2.0, 2.0))
        (0, 0, 100, 200)
    """
    height, width = size_hw
    for _ in range(_ATTEMPTS):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < h <= height and 0 < w <= width:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    aspect = min(max(width / height, ratio[0]), ratio[1])
    h, w = max(1, min(height, round(width / aspect))), max(1, min(width, round(height * aspect)))
    return (height - h) // 2, (width - w) // 2, h, w


def jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """Height and width of a whole, upright JPEG file; None for any other, which Pillow has to look at.

    Example:
        >>> jpeg_size(b"no photo") is None
        True
    """
    if not encoded.startswith(b"\xff\xd8") or not encoded.rstrip(b"\0").endswith(b"\xff\xd9"):
        return None
    with suppress(Exception):  # a decoder raises nearly anything on bytes it does not expect
        if b"Exif\0" in encoded[:65536] and Image.open(io.BytesIO(encoded)).getexif().get(0x0112, 1) != 1:
            return None
        height, width, _ = tf.io.extract_jpeg_shape(encoded).numpy().tolist()
        return height, width
    return None


def decode_window(encoded: bytes, window: Window) -> np.ndarray | None:
    """A part of a JPEG file, uint8 (height, width, 3); None if it cannot be decoded."""
    with suppress(tf.errors.InvalidArgumentError):
        return tf.io.decode_and_crop_jpeg(encoded, window, channels=3).numpy()
    return None


def resize(pixels: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resizes uint8 pixels: down by the mean over areas, so that no pixel is left out; up bicubically."""
    height, width = size_hw
    shrinks = pixels.shape[0] >= height and pixels.shape[1] >= width
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


class ImageCrops:
    """Reads parts of images; decodes no more than the part, or keeps the decoded images.

    Args:
        keep: whether decoded images stay in memory.
    """

    def __init__(self, keep: bool = False):
        self._kept: dict[str, np.ndarray] | None = {} if keep else None

    def read(
        self,
        image: AnnotatedImage,
        size_hw: tuple[int, int],
        rng: np.random.Generator,
        scale: tuple[float, float] | None,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> np.ndarray:
        """A random part of an image, or with `scale=None` all of it, resized: uint8 (height, width, 3).

        Raises:
            ImageError: if the image cannot be read.
        """
        encoded = None if self._kept is not None else image.encoded()
        photo_hw = None if encoded is None else jpeg_size(encoded)
        if encoded is not None and photo_hw is not None:
            window = (0, 0, *photo_hw) if scale is None else random_window(rng, photo_hw, scale, ratio)
            part = decode_window(encoded, window)
            if part is not None:
                return resize(part, size_hw)
        photo = self._photo(image)
        if scale is None:
            return resize(photo, size_hw)
        y, x, height, width = random_window(rng, photo.shape[:2], scale, ratio)
        return resize(photo[y : y + height, x : x + width], size_hw)

    def _photo(self, image: AnnotatedImage) -> np.ndarray:
        if self._kept is None:
            return image.read()
        if image.name not in self._kept:
            self._kept[image.name] = image.read()
        return self._kept[image.name]
