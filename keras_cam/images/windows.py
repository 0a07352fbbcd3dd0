"""Parts of images: a picture that is larger than the memory is read window by window.

TIFF files are, and NumPy arrays; files of other formats are decoded whole, within the memory of
`keras_cam.images.files.DECODING`.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from keras_cam.images.bands import bands_last, finite, is_array_file
from keras_cam.images.deep_grey import scaled, stated_range
from keras_cam.images.files import DECODING, ImageError, read_image
from keras_cam.images.processors import usable_processors
from keras_cam.images.sources import reason_of

# What decoded tiles or strips of a file may take, so that those of a row of windows are decoded once.
_KEPT_BYTES = 2**28

_TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_GREY, _RGB = 1, 2  # TIFF's PhotometricInterpretation

_Part = Callable[[slice, slice], np.ndarray]


@dataclass(frozen=True)
class WindowedImage:
    """An image of which any part can be read, by several threads.

    Attributes:
        name: the file, for messages.
        size_wh: its width and height in pixels.
        part: from slices of rows and of columns to the values in them, (h, w, bands).
        as_pixels: from values to pixels (h, w, channels) as `keras_cam.images.files.read_image` gives them.
    """

    name: str
    size_wh: tuple[int, int]
    part: _Part
    as_pixels: Callable[[np.ndarray], np.ndarray]

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels in a window, (h, w, channels).

        Raises:
            ImageError: the file is broken there.
        """
        try:
            return self.as_pixels(self.part(rows, columns))
        except Exception as error:  # decoders raise exceptions of many types on invalid data
            raise ImageError(self.name, reason_of(error)) from error

    def overview(self, longest: int = 2048) -> np.ndarray:
        """The whole image, reduced by a whole number so that no side exceeds `longest`."""
        width, height = self.size_wh
        factor = math.ceil(max(width, height) / longest)
        rows = [
            self.read(slice(row, row + 1), slice(0, width))[:, ::factor] for row in range(0, height, factor)
        ]
        return np.concatenate(rows)


@contextmanager
def open_windows(
    image: str | Path | np.ndarray, channels: int = 3, value_range: tuple[float, float] | None = None
) -> Iterator[WindowedImage]:
    """Open an image to read parts of it.

    Args:
        image: a file; or an array (H, W, channels).
        channels: what the model takes, see `keras_cam.images.files.read_image`.
        value_range: see there.

    Yields:
        The image. A TIFF file is read by windows if it is grey, 8-bit RGB or has `channels` bands, without
        transparency and EXIF orientation, uncompressed or with a compression that tifffile decodes; so is an
        array that NumPy saved. Any other file is decoded whole.

    Raises:
        ImageError: the file cannot be read, or it must be decoded whole and is too large for that.

    Examples:
        >>> with open_windows(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)) as image:
        ...     image.size_wh, image.read(slice(1, 2), slice(0, 1)).tolist()
        ((2, 2), [[[6, 7, 8]]])
    """
    with ExitStack() as stack:
        if isinstance(image, np.ndarray):
            yield _decoded("image", image)
            return
        opened = None
        with suppress(Exception):  # what is wrong with it `read_image` says best
            opened = _by_windows(Path(image), channels, value_range, stack)
        yield opened or _decoded(str(image), read_image(image, channels, value_range))


def _decoded(name: str, pixels: np.ndarray) -> WindowedImage:
    return WindowedImage(name, _size_wh(pixels), partial(_cut, pixels), _unchanged)


def _size_wh(array: np.ndarray) -> tuple[int, int]:
    return array.shape[1], array.shape[0]


def _by_windows(path: Path, channels: int, value_range: Any, stack: ExitStack) -> WindowedImage | None:
    """A file that can be read by windows; None if it cannot."""
    if channels != 3 and path.is_file() and is_array_file(path):
        array = partial(_mapped_array, path, channels)
        return WindowedImage(str(path), _size_wh(array()), partial(_mapped_part, array, False), finite)
    if path.is_file() and _starts_like_tiff(path):
        return _tiff(path, channels, value_range, stack)
    return None


def _unchanged(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _cut(array: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    return array[rows, columns]


def _mapped_array(path: Path, channels: int) -> np.ndarray:
    array = bands_last(np.load(path, mmap_mode="r", allow_pickle=False), channels)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"its values are {array.dtype}, not numbers")
    return array


def _starts_like_tiff(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) in _TIFF_STARTS


def _tiff(path: Path, channels: int, value_range: Any, stack: ExitStack) -> WindowedImage | None:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series, page = tiff.series[0], tiff.pages.first
        as_pixels = _conversion(page, _bands(series, page), channels, value_range)
        if as_pixels is None:
            return None
        bands_first = series.shape[0] != page.imagelength
        if series.dataoffset is not None:
            dtype = series.dtype.newbyteorder(tiff.byteorder)
            # Mapped for each window anew: what was read does not stay in memory.
            array = partial(np.memmap, path, dtype, "r", series.dataoffset, series.shape)
            part: _Part = partial(_mapped_part, array, bands_first)
        else:
            if len(series.pages) > 1:
                return None
            part = _segments(path, page, stack)
        return WindowedImage(str(path), (page.imagewidth, page.imagelength), part, as_pixels)


def _bands(series: Any, page: Any) -> int:
    """The number of bands of an upright image of whole bytes; 0 if it is anything else."""
    height, width = page.imagelength, page.imagewidth
    upright = getattr(page.tags.get(ExifTags.Base.Orientation), "value", 1) == 1
    if not upright or page.bitspersample not in (8, 16, 32, 64) or page.dtype.kind not in "iuf":
        return 0
    if series.shape in ((height, width), (height, width, page.samplesperpixel)):
        return page.samplesperpixel
    return series.shape[0] if series.shape[1:] == (height, width) else 0


def _conversion(page: Any, bands: int, channels: int, value_range: Any) -> Any:
    """From values of a TIFF file to pixels for a model; None if windows do not suffice to know them."""
    if channels not in (1, 3):
        return finite if bands == channels else None
    if page.extrasamples or bands != page.samplesperpixel:
        return None
    if page.photometric == _RGB and bands == 3 and page.dtype == np.uint8:
        return _unchanged if channels == 3 else _luma
    if page.photometric != _GREY or bands != 1:
        return None
    if channels == 1:
        return finite
    if page.dtype == np.uint8:
        return partial(np.repeat, repeats=3, axis=-1)
    value_range = value_range or stated_range({tag.code: tag.value for tag in page.tags})
    known = value_range is not None or page.dtype == np.uint16
    return (lambda values: scaled(values[..., 0], value_range)) if known else None


def _luma(pixels: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(pixels).convert("L"))[..., None]


def _mapped_part(
    array: Callable[[], np.ndarray], bands_first: bool, rows: slice, columns: slice
) -> np.ndarray:
    """The values (h, w, bands) in a window of a file that is mapped into memory."""
    values = array()
    window = np.moveaxis(values[:, rows, columns], 0, -1) if bands_first else values[rows, columns]
    window = np.array(window, values.dtype.newbyteorder("="))
    return window if window.ndim == 3 else window[..., None]


def _segments(path: Path, page: Any, stack: ExitStack) -> _Part:
    """Reads the tiles or strips of a page, and keeps those that were decoded last."""
    length, width = (
        (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    )
    length = min(length, page.imagelength)
    planar = page.planarconfig == 2 and page.samplesperpixel > 1
    samples = 1 if planar else page.samplesperpixel
    down, across = math.ceil(page.imagelength / length), math.ceil(page.imagewidth / width)
    size = length * width * samples * page.dtype.itemsize
    kept = max(1, min(_KEPT_BYTES // size, len(page.dataoffsets)))
    # Each thread may decode one more at the same time.
    stack.enter_context(DECODING.taken(size * (kept + usable_processors())))
    file = stack.enter_context(open(path, "rb"))  # noqa: SIM115
    decode, offsets, counts = page.decode, page.dataoffsets, page.databytecounts

    @lru_cache(maxsize=kept)
    def segment(index: int) -> np.ndarray:
        """(length, width, samples); an empty one is black."""
        if not counts[index]:
            return np.zeros((length, width, samples), page.dtype)
        data, _, (_, rows, columns, _) = decode(os.pread(file.fileno(), counts[index], offsets[index]), index)
        return data[0, :rows, :columns]

    def part(rows: slice, columns: slice) -> np.ndarray:
        rows, columns = _within(rows, page.imagelength), _within(columns, page.imagewidth)
        planes = page.samplesperpixel if planar else 1
        window = np.empty(
            (rows.stop - rows.start, columns.stop - columns.start, planes * samples), page.dtype
        )
        for plane in range(planes):
            for row in range(rows.start // length, math.ceil(rows.stop / length)):
                for column in range(columns.start // width, math.ceil(columns.stop / width)):
                    values = segment((plane * down + row) * across + column)
                    to_rows, from_rows = _shared(rows, row * length, length)
                    to_columns, from_columns = _shared(columns, column * width, width)
                    bands = slice(plane, plane + samples)
                    window[to_rows, to_columns, bands] = values[from_rows, from_columns]
        return window

    return part


def _within(part: slice, size: int) -> slice:
    return slice(*part.indices(size)[:2])


def _shared(window: slice, start: int, length: int) -> tuple[slice, slice]:
    """What a window and a segment share: its places in the window and in the segment."""
    first, last = max(window.start, start), min(window.stop, start + length)
    return slice(first - window.start, last - window.start), slice(first - start, last - start)
