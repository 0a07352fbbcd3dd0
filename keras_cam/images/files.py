"""Finding, reading and writing image files."""

import io
import threading
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

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
    without hidden files. Missing files and folders without images stay in the list, so that no input is
    dropped silently: `read_image` raises an error for them.

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
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as 8-bit RGB.

    The EXIF orientation is applied, transparent images are composited over white, and animations give their
    first frame. 16-bit grey is scaled by 255/65535; 32-bit integer and float grey, whose range is not
    defined, is stretched from its minimum to its maximum.

    Args:
        path: a BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP file.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: the file is missing, empty, broken, truncated or not an image, or has more than
            `MAX_PIXELS` pixels.

    Examples:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
        ...     Image.new("L", (4, 2), 128).save(file.name)
        ...     read_image(file.name)[0, 0].tolist()
        [128, 128, 128]
    """
    path = Path(path)
    if path.is_dir():
        raise ImageError(path, "a folder, not an image" if _images_below(path) else "a folder without images")
    return _pixels(path, path)


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Decode the bytes of an image file as 8-bit RGB, see `read_image`.

    Args:
        content: the bytes of the file.
        name: the name of the image in error messages.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: see `read_image`.

    Examples:
        >>> decode_image(b"no photo", "record 7")
        Traceback (most recent call last):
        ...
        keras_cam.images.files.ImageError: Cannot read record 7: not an image
    """
    return _pixels(io.BytesIO(content), name)


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


def _pixels(file: Path | io.BytesIO, name: str | Path) -> np.ndarray:
    try:
        with _open(file) as image:
            image.load()
            with suppress(Exception):  # with broken EXIF data, read the photo unrotated
                ImageOps.exif_transpose(image, in_place=True)
            return np.array(_to_rgb(image))
    # On invalid data, decoders raise exceptions of many types, from struct.error to SyntaxError.
    except Exception as error:
        raise ImageError(name, _reason(file, error)) from error


def _open(file: Path | io.BytesIO) -> Image.Image:
    """Open the file and read its header, ignoring Pillow's warnings about metadata."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(file, formats=_FORMATS)
        with suppress(Exception):  # Pillow caches it: parse it here, where warnings are ignored
            image.getexif()
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    # `convert("RGB")` would clip these modes at 255.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        grey16 = np.asarray(image, np.uint32)
        return Image.fromarray(((grey16 + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        with np.errstate(invalid="ignore"):  # casting signalling NaNs warns
            return Image.fromarray(_stretched(np.asarray(image, np.float64))).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _stretched(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if low == high:
        return np.zeros(values.shape, np.uint8)
    unit = np.nan_to_num((values - low) / (high - low), posinf=1.0, neginf=0.0)
    return np.rint(255.0 * np.clip(unit, 0.0, 1.0)).astype(np.uint8)


def _reason(file: Path | io.BytesIO, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        size = file.stat().st_size if isinstance(file, Path) else len(file.getvalue())
        return "not an image" if size else "the file is empty"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
