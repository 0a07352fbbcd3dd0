"""Finding, reading and writing image files."""

import io
import math
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from keras_cam.images.bands import ARRAY_SUFFIX, finite, is_array_file, read_bands
from keras_cam.images.deep_grey import deep_grey, doubt, scaled, stated_range
from keras_cam.images.memory_budget import MemoryBudget
from keras_cam.images.sources import photos_in, read_photo, reason_of, source_of
from keras_cam.images.whole_file import whole_file
from keras_cam.plain_text import plain_text

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip

MAX_PIXELS = 178_956_970
"""Images with more pixels are rejected before decoding. Pillow's limit for decompression bombs."""

DECODING = MemoryBudget(2 * 2**30)
"""What all threads may use together to decode images: 2 GiB, enough for one image of `MAX_PIXELS`."""

# How many bytes decoding needs for a pixel, at most: Pillow's own pixels, copies in other modes, the array.
# Deep grey is stretched as float64. JPEG 2000, and JPEGs in several scans, keep coefficients of all pixels.
_BYTES, _BYTES_IF_TRANSPARENT, _BYTES_OF_DEEP_GREY, _BYTES_OF_COEFFICIENTS = 12, 24, 48, 12

# Images with more pixels are reduced before they are converted, whatever their format.
_LARGE = 2**24

# Not all formats of Pillow: some run other programs (EPS: Ghostscript), unsafe for files of unknown origin.
_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

# Pillow's modules for them. If one were missing when a file is opened, it would import all of its seventy.
_PLUGINS = ("Bmp", "Gif", "Jpeg", "Jpeg2K", "Png", "Ppm", "Tiff", "WebP")

# The EXIF tag, and its values that swap width and height.
_ORIENTATION, _ON_THE_SIDE = ExifTags.Base.Orientation, (5, 6, 7, 8)

_DEEP_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")

# `warnings.catch_warnings` is not thread-safe, and several threads read images.
_header_lock = threading.RLock()


class ImageError(ValueError):
    """A file cannot be read as an image; the one-line message gives the file and the reason."""

    def __init__(self, path: str | Path, reason: str):
        super().__init__(f"Cannot read {plain_text(str(path))}: {plain_text(' '.join(reason.split()))}")


class ImageWarning(UserWarning):
    """The values of a grey image may mean another brightness: its file does not say their range."""


def upright_size_wh(image: Image.Image) -> tuple[int, int]:
    """Width and height of a photo after its EXIF orientation is applied; reads only the header.

    Examples:
        >>> upright_size_wh(Image.new("RGB", (40, 30)))
        (40, 30)
    """
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION) in _ON_THE_SIDE else (width, height)


def find_images(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """List the image files in files and folders.

    A file is listed with any suffix. A folder is replaced by the image files below it at any depth, sorted,
    without hidden files; or, if there are none, by its `.npy` files. What cannot be seen stays in the list,
    and `read_image` raises an error for it, so that nothing is dropped silently: missing files, folders
    without images, folders below that may not be read or are links, which are not followed, and links to
    nothing.

    Args:
        paths: a file or a folder, or several of them.

    Returns:
        Files, in the order of `paths`.

    Examples:
        >>> find_images(["photo.jpg", "missing/folder"])
        [PosixPath('photo.jpg'), PosixPath('missing/folder')]
    """
    return [image for path in map(Path, _several(paths)) for image in _images_below(path) or [path]]


def _several(paths: str | Path | Iterable[str | Path]) -> Iterable[str | Path]:
    return [paths] if isinstance(paths, str | Path) else paths


def _images_below(folder: Path) -> list[Path]:
    inside: list[Path] = []
    unreadable: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unreadable.append):
        inside += [Path(place, name) for name in (*folders, *files) if not name.startswith(".")]
    hidden = [path for path in inside if path.is_symlink() and (path.is_dir() or not path.exists())]
    hidden += [Path(error.filename) for error in unreadable if Path(error.filename) != folder]
    for suffixes in (IMAGE_SUFFIXES, (ARRAY_SUFFIX,)):
        found = [path for path in inside if path.suffix.lower() in suffixes and path.is_file()]
        if found:
            break
    return sorted({*found, *hidden})


def find_photos(paths: str | Path | Iterable[str | Path]) -> list[str]:
    """As `find_images`, also in the sources of `keras_cam.images.sources`; returns names.

    Raises:
        ImportError: the package that reads a source is not installed.

    Examples:
        >>> find_photos(["photo.jpg", "photos.tar::1.jpg", "memory://nothing"])
        ['photo.jpg', 'photos.tar::1.jpg', 'memory://nothing']
    """
    return [
        name
        for path in map(str, _several(paths))
        for name in (photos_in(path, IMAGE_SUFFIXES) if source_of(path) else map(str, find_images(path)))
    ]


def read_image(
    path: str | Path, channels: int = 3, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Read an image file as a model takes it: as 8-bit RGB, as grey, or with all of its bands.

    The EXIF orientation is applied, transparent images are composited over white, and animations give their
    first frame.

    Args:
        path: a BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP file; if `channels` is not 3, also a `.npy`
            file, (H, W, channels), (channels, H, W) or, for one channel, (H, W). Or, as a string, the name of
            a photo in a source, see `keras_cam.images.sources`.
        channels: what the model takes:

            - 3: 8-bit RGB. Grey of more than 8 bits is scaled from `value_range`; else from the range that
              the file states (TIFF's `SMinSampleValue` and `SMaxSampleValue`, or fewer than 16 bits); else
              16-bit grey from 0..65535, and 32-bit and float grey from its minimum to its maximum. An
              `ImageWarning` says so if that may be wrong: for 32 bits, and for 16 bits without values of 4096
              and more, as 12-bit cameras write.
            - 1: grey. Grey files of 16 or 32 bits and floats keep their values; other files give their luma
              (ITU-R 601), 0..255.
            - any other number: the bands of a TIFF or `.npy` file, which keep their values; or the channels
              of an image that has as many, such as RGBA.
        value_range: the values of black and white in grey images of more than 8 bits, for three channels.

    Returns:
        uint8 (H, W, 3), RGB; else (H, W, channels), uint8, or the type of the file.

    Raises:
        ImageError: the file is missing, empty, broken, truncated or not an image, has another number of
            channels, has values that are not finite, or has more than `MAX_PIXELS` pixels.

    Examples:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
        ...     Image.new("L", (4, 2), 128).save(file.name)
        ...     read_image(file.name)[0, 0].tolist()
        [128, 128, 128]
    """
    return _read(path, channels, value_range).pixels


def decode_image(
    content: bytes, name: str, channels: int = 3, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Decode the bytes of an image file, see `read_image`.

    Args:
        content: the bytes of the file.
        name: the name of the image in error messages.
        channels: see `read_image`.
        value_range: see `read_image`.

    Returns:
        uint8 (H, W, 3), RGB; or see `read_image`.

    Raises:
        ImageError: see `read_image`.

    Examples:
        >>> decode_image(b"no photo", "record 7")
        Traceback (most recent call last):
        ...
        keras_cam.images.files.ImageError: Cannot read record 7: not an image
    """
    return _decoded(io.BytesIO(content), name, channels, value_range).pixels


class ReducedPhoto(NamedTuple):
    """A photo that may have been decoded at a reduced scale.

    Attributes:
        pixels: (H, W, channels), see `read_image`.
        size_wh: the width and height of the photo itself, after its EXIF orientation is applied.
    """

    pixels: np.ndarray
    size_wh: tuple[int, int]


def read_reduced(
    image: str | Path | bytes,
    size_hw: tuple[int, int],
    channels: int = 3,
    value_range: tuple[float, float] | None = None,
    name: str = "image",
) -> ReducedPhoto:
    """Read an image of which only few pixels are needed, see `read_image`.

    JPEGs are decoded at 1/2, 1/4 or 1/8 of their size, and very large images of other formats are reduced
    before they are converted, as long as both sides remain at least twice as long as needed: so much that
    resizing them gives nearly the same picture.

    Args:
        image: a file, or the bytes of one.
        size_hw: the height and width to which the photo will be resized.
        channels: see `read_image`.
        value_range: see `read_image`.
        name: the name of the image in error messages if it comes as bytes.

    Raises:
        ImageError: see `read_image`.

    Examples:
        >>> jpeg = io.BytesIO()
        >>> Image.new("RGB", (4000, 3000)).save(jpeg, "JPEG")
        >>> photo = read_reduced(jpeg.getvalue(), (320, 320))
        >>> photo.pixels.shape, photo.size_wh
        ((750, 1000, 3), (4000, 3000))
    """
    if isinstance(image, bytes):
        return _decoded(io.BytesIO(image), name, channels, value_range, size_hw)
    return _read(image, channels, value_range, size_hw)


PICTURE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": (".jpg", {"format": "JPEG", "quality": 90}),
    "webp": (".webp", {"format": "WEBP", "quality": 85, "method": 0}),
    "png": (".png", {"format": "PNG", "compress_level": 1}),
}
"""The formats in which pictures for people are written: the suffix, and what Pillow is told."""


def write_picture(path: str | Path, image: np.ndarray) -> None:
    """Write a picture for people atomically, see `whole_file`, quickly rather than as small as possible.

    Args:
        path: the file to write or to replace. Its suffix selects a row of `PICTURE_FORMATS`.
        image: uint8 (H, W, 3), RGB.

    Raises:
        ValueError: there is no format of this suffix.
        OSError: the file cannot be written.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_picture(Path(folder) / "grey.jpg", np.full((2, 4, 3), 128, np.uint8))
        ...     read_image(Path(folder) / "grey.jpg").shape
        (2, 4, 3)
    """
    options = dict(PICTURE_FORMATS.values())
    suffix = Path(path).suffix.lower()
    if suffix not in options:
        raise ValueError(f"`path` must end in one of {', '.join(options)}. Received: path={str(path)!r}")
    with whole_file(path) as unfinished:
        Image.fromarray(image).save(unfinished, **options[suffix])


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write a PNG file atomically, see `whole_file`.

    Args:
        path: the file to write or to replace.
        image: uint8 (H, W, 3), RGB.

    Raises:
        OSError: the file cannot be written.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_png(Path(folder) / "grey.png", np.full((2, 4, 3), 128, np.uint8))
        ...     read_image(Path(folder) / "grey.png").shape
        (2, 4, 3)
    """
    with whole_file(path) as unfinished:
        Image.fromarray(image).save(unfinished, format="PNG")


def _read(
    path: str | Path,
    channels: int,
    value_range: tuple[float, float] | None,
    needed_hw: tuple[int, int] | None = None,
) -> ReducedPhoto:
    content = _from_source(path)
    if content is not None:
        return _decoded(io.BytesIO(content), path, channels, value_range, needed_hw)
    _check_is_file(Path(path))
    return _decoded(Path(path), path, channels, value_range, needed_hw)


def _from_source(name: str | Path) -> bytes | None:
    """The bytes of a photo that is in a source; None if it is a file of its own."""
    if isinstance(name, Path) or source_of(name) is None:
        return None
    try:
        return read_photo(name, IMAGE_SUFFIXES)
    except ImportError:
        raise
    except Exception as error:  # readers of archives raise exceptions of many types
        raise ImageError(name, reason_of(error)) from error


def _check_is_file(path: Path) -> None:
    """Raise an `ImageError` for what is there and not a file; that nothing is there, opening it says."""
    if not path.is_dir():
        if path.exists() and not path.is_file():  # opening a FIFO would wait for ever
            raise ImageError(path, "a pipe, socket or device, not a file")
        return
    try:
        os.listdir(path)
    except OSError as error:
        raise ImageError(path, f"a folder ({reason_of(error)})") from error
    if path.is_symlink():
        raise ImageError(path, "a link to a folder, which is not followed")
    raise ImageError(path, "a folder, not an image" if _images_below(path) else "a folder without images")


def _decoded(
    file: Path | io.BytesIO,
    name: str | Path,
    channels: int,
    value_range: tuple[float, float] | None,
    needed_hw: tuple[int, int] | None = None,
) -> ReducedPhoto:
    """Decode a file or its bytes; `needed_hw` allows to reduce the photo, see `read_reduced`."""
    try:
        if channels not in (1, 3) or (channels == 1 and is_array_file(file)):
            bands = _bands(file, channels)
            return ReducedPhoto(bands, (bands.shape[1], bands.shape[0]))
        with without_warnings():
            _register_formats()
            opened = Image.open(file, formats=_FORMATS)
        with opened as image:
            size_wh = image.size
            # Both sides get what the longer one needs: nobody knows yet whether the photo lies on its side.
            twice = 2 * max(needed_hw or size_wh)
            image.draft(None, (twice, twice))  # only JPEGs heed it
            factor = _spare_factor(image, twice)
            with DECODING.taken(_bytes_to_decode(image, size_wh, factor)):
                image.load()
                upright, is_turned = _upright(image, factor)
                size_wh = size_wh[::-1] if is_turned else size_wh
                grey = deep_grey(upright)
                if grey is None:
                    rgb = _to_rgb(upright)
                    pixels = np.array(rgb) if channels == 3 else np.array(rgb.convert("L"))[..., None]
                    return ReducedPhoto(pixels, size_wh)
                if channels == 1:
                    return ReducedPhoto(finite(grey[..., None]), size_wh)
                value_range = value_range or stated_range(getattr(image, "tag_v2", {}))
    # On invalid data, decoders raise exceptions of many types, from struct.error to SyntaxError.
    except Exception as error:
        raise ImageError(name, _reason(file, error)) from error
    if value_range is None and (why := doubt(grey)):
        with _header_lock:  # under which warnings of all threads are ignored
            warnings.warn(f"{name}: {why}", ImageWarning, stacklevel=4)
    return ReducedPhoto(scaled(grey, value_range), size_wh)


@cache
def _register_formats() -> None:
    for name in _PLUGINS:
        import_module(f"PIL.{name}ImagePlugin")


def _bands(file: Path | io.BytesIO, channels: int) -> np.ndarray:
    """All bands of a file, as they are."""
    if not is_array_file(file):
        # Others, such as a TIFF with more bands than Pillow knows, are read below.
        with suppress(UnidentifiedImageError), Image.open(file, formats=_FORMATS) as image:
            if len(image.getbands()) == channels:
                image.load()
                return np.array(_upright(image, 1)[0])
    return read_bands(file, channels, MAX_PIXELS * channels)


def _spare_factor(image: Image.Image, twice: int) -> int:
    """By how much a large image can be reduced so that both sides keep `twice` pixels."""
    is_large = math.prod(image.size) > _LARGE and image.mode not in _DEEP_GREY
    return max(1, min(image.size) // twice) if is_large else 1


def _bytes_to_decode(image: Image.Image, whole_wh: tuple[int, int], factor: int) -> int:
    each = _BYTES
    if image.mode in _DEEP_GREY:
        each = _BYTES_OF_DEEP_GREY
    elif image.has_transparency_data and factor == 1:
        each = _BYTES_IF_TRANSPARENT
    has_coefficients = image.format == "JPEG2000" or "progressive" in image.info
    extra = _BYTES_OF_COEFFICIENTS * math.prod(whole_wh) if has_coefficients else 0
    return each * math.prod(image.size) + extra


def _upright(image: Image.Image, factor: int) -> tuple[Image.Image, bool]:
    """The image, turned as its EXIF orientation says and reduced, and whether its sides were swapped."""
    is_turned = False
    with suppress(Exception):  # with broken EXIF data, read the photo unrotated
        with without_warnings():  # Pillow keeps what it parses
            is_turned = image.getexif().get(_ORIENTATION) in _ON_THE_SIDE
        ImageOps.exif_transpose(image, in_place=True)
    if factor > 1:
        if image.mode in ("1", "P", "PA"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        image = image.reduce(factor)
    return image, is_turned


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore warnings: Pillow's about metadata, or those of `read_image` about the range of grey values."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(file: Path | io.BytesIO, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        size = file.stat().st_size if isinstance(file, Path) else len(file.getvalue())
        return "not an image" if size else "the file is empty"
    return reason_of(error)
