"""Finding, reading and writing image files."""

import io
import os
import threading
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_cam.images.bands import ARRAY_SUFFIX, is_array_file, read_bands
from keras_cam.images.deep_grey import deep_grey, doubt, scaled, stated_range
from keras_cam.images.whole_file import whole_file
from keras_cam.plain_text import plain_text

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip

MAX_PIXELS = 178_956_970
"""Images with more pixels are rejected before decoding. Pillow's limit for decompression bombs."""

# Not all formats of Pillow: some run other programs (EPS: Ghostscript), unsafe for files of unknown origin.
_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

# EXIF orientations with swapped width and height.
_ON_THE_SIDE = (5, 6, 7, 8)

# `warnings.catch_warnings` is not thread-safe, and several threads read images.
_header_lock = threading.Lock()


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
    return (height, width) if image.getexif().get(0x0112) in _ON_THE_SIDE else (width, height)


def find_images(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """List the image files in files and folders.

    A file is listed with any suffix. A folder is replaced by the image files below it at any depth, sorted,
    without hidden files; or, if there are none, by its `.npy` files. What cannot be seen stays in the list, so
    that nothing is dropped silently, and `read_image` raises an error for it: missing files, folders without
    images, folders below that may not be read or are links, which are not followed, and links to nothing.

    Args:
        paths: a file or a folder, or several of them.

    Returns:
        Files, in the order of `paths`.

    Examples:
        >>> find_images(["photo.jpg", "missing/folder"])
        [PosixPath('photo.jpg'), PosixPath('missing/folder')]
    """
    several = [paths] if isinstance(paths, str | Path) else paths
    return [image for path in map(Path, several) for image in _images_below(path) or [path]]


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


def read_image(
    path: str | Path, channels: int = 3, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Read an image file as a model takes it: as 8-bit RGB, as grey, or with all of its bands.

    The EXIF orientation is applied, transparent images are composited over white, and animations give their
    first frame.

    Args:
        path: a BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP file; if `channels` is not 3, also a `.npy`
            file, (H, W, channels), (channels, H, W) or, for one channel, (H, W).
        channels: what the model takes:

            - 3: 8-bit RGB. Grey of more than 8 bits is scaled from `value_range`; else from the range that
              the file states (TIFF's `SMinSampleValue` and `SMaxSampleValue`, or fewer than 16 bits); else 16-bit
              grey from 0..65535, and 32-bit integer and float grey from its minimum to its maximum. An
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
    path = Path(path)
    if path.is_dir():
        raise ImageError(path, _reason_of_folder(path))
    return _pixels(path, path, channels, value_range)


def _reason_of_folder(path: Path) -> str:
    try:
        os.listdir(path)
    except OSError as error:
        return f"a folder ({(error.strerror or str(error)).lower()})"
    if path.is_symlink():
        return "a link to a folder, which is not followed"
    return "a folder, not an image" if _images_below(path) else "a folder without images"


def decode_image(content: bytes, name: str, channels: int = 3) -> np.ndarray:
    """Decode the bytes of an image file, see `read_image`.

    Args:
        content: the bytes of the file.
        name: the name of the image in error messages.
        channels: see `read_image`.

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
    return _pixels(io.BytesIO(content), name, channels)


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


def _pixels(
    file: Path | io.BytesIO,
    name: str | Path,
    channels: int,
    value_range: tuple[float, float] | None = None,
) -> np.ndarray:
    try:
        if channels not in (1, 3) or (channels == 1 and is_array_file(file)):
            return _bands(file, channels)
        image = _upright(file)
        grey = deep_grey(image)
        if grey is None:
            rgb = _to_rgb(image)
            return np.array(rgb) if channels == 3 else np.array(rgb.convert("L"))[..., None]
        if channels == 1:
            return _finite(grey[..., None])
        value_range = value_range or stated_range(image)
    # On invalid data, decoders raise exceptions of many types, from struct.error to SyntaxError.
    except Exception as error:
        raise ImageError(name, _reason(file, error)) from error
    if value_range is None and (why := doubt(grey)):
        with _header_lock:  # under which `_open` ignores warnings of all threads
            warnings.warn(f"{name}: {why}", ImageWarning, stacklevel=3)
    return scaled(grey, value_range)


def _bands(file: Path | io.BytesIO, channels: int) -> np.ndarray:
    """All bands of a file, as they are."""
    if not is_array_file(file):
        with suppress(UnidentifiedImageError):  # such as a TIFF with more bands than Pillow knows
            image = _upright(file)
            if len(image.getbands()) == channels:
                return np.array(image)
    return read_bands(file, channels, MAX_PIXELS * channels)


def _upright(file: Path | io.BytesIO) -> Image.Image:
    """The decoded image, turned as its EXIF orientation says."""
    with _open(file) as image:
        image.load()
        with suppress(Exception):  # with broken EXIF data, read the photo unrotated
            ImageOps.exif_transpose(image, in_place=True)
        return image


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError("it has values that are not finite")
    return values


def _open(file: Path | io.BytesIO) -> Image.Image:
    """Open the file and read its header, ignoring Pillow's warnings about metadata."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(file, formats=_FORMATS)
        with suppress(Exception):  # Pillow caches it: parse it here, where warnings are ignored
            image.getexif()
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _reason(file: Path | io.BytesIO, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        size = file.stat().st_size if isinstance(file, Path) else len(file.getvalue())
        return "not an image" if size else "the file is empty"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
