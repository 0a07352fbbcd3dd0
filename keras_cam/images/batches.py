"""Batches of photos; threads read and resize the next batch while the model processes the current one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from keras_cam.images.files import ImageError, ReducedPhoto
from keras_cam.images.map_ahead import map_ahead
from keras_cam.images.processors import usable_processors
from keras_cam.images.resize import resize


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Up to `batch_size` consecutive photos.

    Attributes:
        index: the positions of the photos in the whole sequence.
        images: float32 (B, height, width, C), usually RGB in 0..255; zeros for a photo that cannot be
            read.
        sizes_wh: int64 (B, 2), the width and height of each photo in pixels; 1 x 1 if it cannot be read.
        errors: for each photo, the error message, or None.
    """

    index: range
    images: np.ndarray
    sizes_wh: np.ndarray
    errors: tuple[str | None, ...]

    @property
    def readable(self) -> np.ndarray:
        """bool (B,): whether each photo could be read."""
        return np.array([error is None for error in self.errors])


def read_batches(
    read: Callable[[int], np.ndarray | ReducedPhoto],
    count: int,
    size_hw: tuple[int, int],
    batch_size: int,
    channels: int = 3,
) -> Iterator[ImageBatch]:
    """Read and resize photos in batches; a photo that cannot be read does not stop the iteration.

    One batch is prefetched, so memory holds three batches at most, and the photos being decoded.

    Args:
        read: a function from an index in 0..`count - 1` to the pixels of that photo, (H, W, channels), or to
            what `keras_cam.images.files.read_reduced` gives for `size_hw`; it raises `ImageError` if the
            photo cannot be read. Several threads call it.
        count: the number of photos.
        size_hw: the height and width to which whole photos are resized, without cropping.
        batch_size: the number of photos in a batch; the last batch may be smaller.
        channels: the number of channels of each photo.

    Raises:
        ValueError: `batch_size` or a side of `size_hw` is not positive.

    Examples:
        >>> def read(index):
        ...     return np.full((2, 4, 3), index, np.uint8)
        >>> [batch] = read_batches(read, 2, size_hw=(6, 6), batch_size=8)
        >>> batch.images.shape, batch.sizes_wh.tolist(), batch.images[:, 0, 0, 0].tolist()
        ((2, 6, 6, 3), [[4, 2], [4, 2]], [0.0, 1.0])
    """
    check_batches(size_hw, batch_size)
    return _batches(read, count, size_hw, batch_size, channels)


def check_batches(size_hw: tuple[int, int], batch_size: int) -> None:
    """Raise a `ValueError` if the image size or the batch size is not positive."""
    if batch_size < 1 or len(size_hw) != 2 or min(size_hw) < 1:
        raise ValueError(
            "`size_hw` must be (height, width), each at least 1, and `batch_size` at least 1. "
            f"Received: size_hw={size_hw!r}, batch_size={batch_size!r}"
        )


_Read = tuple[np.ndarray, tuple[int, int], str | None]


def _batches(
    read: Callable[[int], np.ndarray | ReducedPhoto],
    count: int,
    size_hw: tuple[int, int],
    batch_size: int,
    channels: int,
) -> Iterator[ImageBatch]:
    def read_resized(index: int) -> _Read:
        try:
            photo = read(index)
        except ImageError as error:
            return np.zeros((*size_hw, channels), np.float32), (1, 1), str(error)
        if isinstance(photo, np.ndarray):
            photo = ReducedPhoto(photo, (photo.shape[1], photo.shape[0]))
        return resize(photo.pixels, size_hw), photo.size_wh, None

    photos = map_ahead(read_resized, range(count), usable_processors(), 2 * batch_size - 1)
    for start in range(0, count, batch_size):
        images, sizes_wh, errors = zip(*islice(photos, batch_size), strict=True)
        yield ImageBatch(range(start, start + len(images)), np.stack(images), np.array(sizes_wh), errors)
