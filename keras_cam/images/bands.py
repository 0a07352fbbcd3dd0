"""The pixels of a file for models that do not take RGB: grey values, and any number of bands.

Nothing is scaled, so that the values are those that the model was trained on.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np

ARRAY_SUFFIX = ".npy"

_ARRAY_START = b"\x93NUMPY"


def read_bands(file: Path | io.BytesIO, channels: int | None, most_values: int) -> np.ndarray:
    """The values of a NumPy array or a TIFF file with `channels` bands, as they are.

    Args:
        file: a `.npy` file, (H, W, channels) or (channels, H, W), or (H, W) for one channel; or a TIFF file.
        channels: the number of bands; None takes any.
        most_values: larger files are not read.

    Returns:
        (H, W, channels), integers or floats.

    Raises:
        ValueError: the file has another shape, is too large, or has values that are not finite.
    """
    array = _array(file, most_values) if is_array_file(file) else _tiff(file, most_values)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"its values are {array.dtype}, not numbers")
    return finite(np.array(bands_last(array, channels)))


def finite(values: np.ndarray) -> np.ndarray:
    """The values, if none is NaN or infinite.

    Raises:
        ValueError: some are.
    """
    if not np.isfinite(values).all():
        raise ValueError("it has values that are not finite")
    return values


def is_array_file(file: Path | io.BytesIO) -> bool:
    """Whether a file is an array that NumPy saved."""
    if isinstance(file, Path):
        with open(file, "rb") as opened:
            return opened.read(len(_ARRAY_START)) == _ARRAY_START
    return file.getvalue().startswith(_ARRAY_START)


def _array(file: Path | io.BytesIO, most_values: int) -> np.ndarray:
    # A file is mapped, so that its size is checked before anything is read.
    array = np.load(file, mmap_mode="r" if isinstance(file, Path) else None, allow_pickle=False)
    _check_size(array.size, most_values)
    return array


def _tiff(file: Path | io.BytesIO, most_values: int) -> Any:
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        _check_size(tiff.series[0].size, most_values)
        return tiff.asarray()


def _check_size(values: int, most_values: int) -> None:
    if values > most_values:
        raise ValueError(f"more than {most_values:,} values")


def bands_last(array: np.ndarray, channels: int | None) -> np.ndarray:
    """An array (H, W), (H, W, channels) or (channels, H, W) as (H, W, channels), without a copy.

    Raises:
        ValueError: it has another shape.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 3 and channels in (None, array.shape[-1]):
        return array
    if array.ndim == 3 and array.shape[0] == channels:
        return np.moveaxis(array, 0, -1)
    raise ValueError(f"its shape is {array.shape}, and the model takes {channels} channels")
