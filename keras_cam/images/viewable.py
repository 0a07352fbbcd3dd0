"""Pictures of any pixels, for people."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from keras_cam.images.bands import read_bands
from keras_cam.images.files import MAX_PIXELS, ImageError, read_image, without_warnings
from keras_cam.images.windows import open_windows


def viewable(photo: str | Path | np.ndarray) -> np.ndarray:
    """A photo as people can see it.

    Args:
        photo: the path of what `read_image` reads; or an array (H, W, C). Of other than 1 or 3 bands,
            the mean is shown; values of other types than uint8 are stretched from their minimum to their
            maximum.

    Returns:
        uint8 (H, W, 3), RGB; perhaps the array itself. Files that are too large to be decoded whole, but of
        which parts can be read, are reduced.

    Raises:
        ImageError: the file cannot be read.

    Examples:
        >>> viewable(np.array([[[0.0, 2.0, 4.0, 6.0], [1.0, 1.0, 1.0, 1.0]]])).tolist()
        [[[255, 255, 255], [0, 0, 0]]]
    """
    if isinstance(photo, np.ndarray):
        return _rgb(photo)
    try:
        with without_warnings():  # reading it for the model has given them
            return read_image(photo)
    except ImageError as error:
        with suppress(ImageError), open_windows(photo) as image:
            return image.overview()
        return _rgb(_bands_or_raise(Path(photo), error))


def _rgb(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[-1] not in (1, 3):
        pixels = pixels.mean(axis=-1, keepdims=True)
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = np.rint((pixels - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)


def _bands_or_raise(path: Path, error: ImageError) -> np.ndarray:
    try:
        return read_bands(path, None, MAX_PIXELS)
    except Exception:  # decoders raise exceptions of many types on invalid data
        raise error from None
