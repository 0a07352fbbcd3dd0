"""Random crops of training images, decoded and resized by OpenCV.

Training decodes and resizes each image many times, so it trades accuracy for speed. OpenCV decodes a whole
JPEG file of 500 x 375 in less time than TensorFlow decodes a part of it, lets other threads run meanwhile,
and resizes bilinearly; a test bounds how much the pixels differ from those of `keras_cam.images`. Figures,
pictures and validation of a run do not use this module.
"""

import io
import math
from collections.abc import Sequence
from contextlib import suppress

import cv2
import numpy as np
from PIL import Image

from keras_cam.data import AnnotatedImage
from keras_cam.training.config import Augmentation

# ymin, xmin, height, width in pixels.
Window = tuple[int, int, int, int]

_ATTEMPTS = 10

# Files of more bytes are decoded at a reduced scale, and within the memory that `keras_cam.images` allows.
_LARGE_FILE = 2**18

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


def decode(encoded: bytes) -> np.ndarray | None:
    """Decode a plain JPEG file: uint8 (H, W, 3), RGB; None if OpenCV cannot, and Pillow has to say why."""
    with suppress(cv2.error):
        return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    return None


def resize(pixels: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resize uint8 pixels: bilinearly, or by averaging areas if both sides shrink to half or less."""
    height, width = size_hw
    shrinks = pixels.shape[0] >= 2 * height and pixels.shape[1] >= 2 * width
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
        resized = resize(self._part(image, size_hw, augmentation, for_window), size_hw)
        return cv2.flip(resized, 1) if augmentation.flip and for_mirroring < 0.5 else resized

    def _part(
        self,
        image: AnnotatedImage,
        size_hw: tuple[int, int],
        augmentation: Augmentation,
        draws: Sequence[float],
    ) -> np.ndarray:
        scale = augmentation.crop_scale
        photo = self._photo(image, size_hw, 1 if scale is None else scale[0])
        if scale is None:
            return photo
        y, x, height, width = random_window(draws, photo.shape[:2], scale, augmentation.crop_ratio)
        return photo[y : y + height, x : x + width]

    def _photo(self, image: AnnotatedImage, size_hw: tuple[int, int], smallest_part: float) -> np.ndarray:
        if self._kept is None:
            height, width = (math.ceil(side / math.sqrt(smallest_part)) for side in size_hw)
            return _decoded(image, (height, width))
        if image.name not in self._kept:
            self._kept[image.name] = _decoded(image, None)
        return self._kept[image.name]


def _decoded(image: AnnotatedImage, needed_hw: tuple[int, int] | None) -> np.ndarray:
    """The pixels of an image; of a large file only as many as resizing to `needed_hw` needs."""
    encoded = image.encoded()
    if needed_hw and encoded is not None and len(encoded) > _LARGE_FILE:
        return image.read_reduced(needed_hw).pixels
    photo = decode(encoded) if encoded is not None and is_plain_jpeg(encoded) else None
    if photo is None or image.size_wh not in (None, (photo.shape[1], photo.shape[0])):
        return image.read()
    return photo
