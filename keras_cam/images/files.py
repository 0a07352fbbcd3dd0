"""Image files as cameras and programs write them: found, read and written."""

import io
import threading
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_cam.images.whole_file import whole_file

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip

MAX_PIXELS = 178_956_970
"""Larger pictures are refused by their header, undecoded: the size Pillow takes for a decompression bomb."""

# Pillow also knows formats that call other programs (EPS runs Ghostscript): not for files of unknown origin.
_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

# EXIF orientations of photos that are turned by a quarter.
_ON_THE_SIDE = (5, 6, 7, 8)

# `warnings.catch_warnings` changes the whole process, and images are read by several threads.
_header_lock = threading.Lock()


class ImageError(ValueError):
    """A file cannot be read as an image. The message is one line with the file and the reason."""

    def __init__(self, path: str | Path, reason: str):
        super().__init__(f"Cannot read {path}: {' '.join(reason.split())}")


def upright_size_wh(image: Image.Image) -> tuple[int, int]:
    """Width and height of a photo as `read_image` gives it, from the header alone.

    Examples:
        >>> upright_size_wh(Image.new("RGB", (40, 30)))
        (40, 30)
    """
    width, height = image.size
    return (height, width) if image.getexif().get(0x0112) in _ON_THE_SIDE else (width, height)


def find_images(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The image files that `paths` stand for.

    A file stands for itself, whatever its name; a folder for the image files anywhere below it, sorted,
    without hidden ones. What is missing, and a folder without images, stay in the list as they are, so that
    no input gets lost silently: `read_image` says what is wrong with them.

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
    """Reads an image file as people see it.

    The EXIF orientation is applied, transparency is laid over white, of an animation the first frame is
    taken. Any number of channels and bits becomes 8-bit RGB: 16-bit grey keeps its full range, 32-bit integer
    and float grey, which have no white of their own, are stretched from their minimum to their maximum.

    Args:
        path: a BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP file.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: if the file is missing, empty, broken, truncated, no image, or larger than `MAX_PIXELS`.

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
    """Decodes the content of an image file, as `read_image` does.

    Args:
        content: the bytes of the file.
        name: what an error calls the image.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: as `read_image`.

    Examples:
        >>> decode_image(b"no photo", "record 7")
        Traceback (most recent call last):
        ...
        keras_cam.images.files.ImageError: Cannot read record 7: not an image
    """
    return _pixels(io.BytesIO(content), name)


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Writes a PNG file whole or not at all.

    Args:
        path: the file to write or to replace.
        image: uint8 (H, W, 3), RGB.

    Raises:
        OSError: if the file cannot be written.

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
            with suppress(Exception):  # a broken EXIF block costs its orientation, not the photo
                ImageOps.exif_transpose(image, in_place=True)
            return np.array(_to_rgb(image))
    # A decoder raises nearly anything on bytes it does not expect, from struct.error to SyntaxError.
    except Exception as error:
        raise ImageError(name, _reason(file, error)) from error


def _open(file: Path | io.BytesIO) -> Image.Image:
    """Opens the file and reads its header; metadata that Pillow merely warns about does not matter here."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(file, formats=_FORMATS)
        with suppress(Exception):  # parsed here, where its warnings are silenced, and kept by Pillow
            image.getexif()
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    # `convert("RGB")` would cut all of these at 255.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        grey16 = np.asarray(image, np.uint32)
        return Image.fromarray(((grey16 + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        with np.errstate(invalid="ignore"):  # the cast meets signalling NaNs
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
