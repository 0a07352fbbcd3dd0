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

from keras_cam.images.whole_file import whole_file

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip

MAX_PIXELS = 178_956_970
"""Images with more pixels are rejected before decoding. Pillow's limit for decompression bombs."""

# Not all formats of Pillow: some run other programs (EPS: Ghostscript), unsafe for files of unknown origin.
_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

# TIFF tags: BitsPerSample, SMinSampleValue, SMaxSampleValue.
_BITS, _LOWEST, _HIGHEST = 258, 340, 341

# EXIF orientations with swapped width and height.
_ON_THE_SIDE = (5, 6, 7, 8)

# `warnings.catch_warnings` is not thread-safe, and several threads read images.
_header_lock = threading.Lock()


class ImageError(ValueError):
    """A file cannot be read as an image; the one-line message gives the file and the reason."""

    def __init__(self, path: str | Path, reason: str):
        super().__init__(f"Cannot read {path}: {' '.join(reason.split())}")


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
    without hidden files. What cannot be seen stays in the list, so that nothing is dropped silently, and
    `read_image` raises an error for it: missing files, folders without images, folders below that may not be
    read or are links, which are not followed, and links to nothing.

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
    found: list[Path] = []
    unreadable: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unreadable.append):
        inside = [Path(place, name) for name in (*folders, *files) if not name.startswith(".")]
        found += [path for path in inside if _is_listed(path)]
    found += [Path(error.filename) for error in unreadable]
    return sorted(path for path in found if path != folder)


def _is_listed(path: Path) -> bool:
    """Whether a path below a folder is an image file, or a link that leads nowhere or to a folder."""
    if path.is_symlink() and (path.is_dir() or not path.exists()):
        return True
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def read_image(path: str | Path, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Read an image file as 8-bit RGB.

    The EXIF orientation is applied, transparent images are composited over white, and animations give their
    first frame. Grey of more than 8 bits is scaled from the range that the file states (TIFF's
    `SMinSampleValue` and `SMaxSampleValue`, or fewer than 16 bits). Without one, 16-bit grey is scaled from
    0..65535, and 32-bit integer and float grey from its minimum to its maximum. An `ImageWarning` says so if
    that may be wrong: for 32 bits, and for 16 bits without values of 4096 and more, as 12-bit cameras write.

    Args:
        path: a BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP file.
        value_range: the values of black and white in grey images of more than 8 bits, whatever the file says.

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
        raise ImageError(path, _reason_of_folder(path))
    return _pixels(path, path, value_range)


def _reason_of_folder(path: Path) -> str:
    try:
        os.listdir(path)
    except OSError as error:
        return f"a folder ({(error.strerror or str(error)).lower()})"
    if path.is_symlink():
        return "a link to a folder, which is not followed"
    return "a folder, not an image" if _images_below(path) else "a folder without images"


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


def _pixels(
    file: Path | io.BytesIO, name: str | Path, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    try:
        with _open(file) as image:
            image.load()
            with suppress(Exception):  # with broken EXIF data, read the photo unrotated
                ImageOps.exif_transpose(image, in_place=True)
            deep = _deep_grey(image)
            if deep is None:
                return np.array(_to_rgb(image))
            value_range = value_range or _stated_range(image)
    # On invalid data, decoders raise exceptions of many types, from struct.error to SyntaxError.
    except Exception as error:
        raise ImageError(name, _reason(file, error)) from error
    doubt = _doubt(deep) if value_range is None else ""
    if doubt:
        with _header_lock:  # under which `_open` ignores warnings of all threads
            warnings.warn(f"{name}: {doubt}", ImageWarning, stacklevel=3)
    return _scaled(deep, value_range)


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


def _deep_grey(image: Image.Image) -> np.ndarray | None:
    """The values (H, W) of a grey image of more than 8 bits, which `convert("RGB")` would clip at 255."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return np.asarray(image).astype(np.uint16)
    return np.asarray(image) if image.mode in ("I", "F") else None


def _stated_range(image: Image.Image) -> tuple[float, float] | None:
    """The values of black and white that a TIFF file states."""
    tags = getattr(image, "tag_v2", {})
    if _LOWEST in tags and _HIGHEST in tags:
        low, high = (float(np.ravel(tags[tag])[0]) for tag in (_LOWEST, _HIGHEST))
        return (low, high) if np.isfinite([low, high]).all() and low < high else None
    bits = int(np.ravel(tags.get(_BITS, 16))[0])
    return (0.0, 2.0**bits - 1) if 8 < bits < 16 else None


def _doubt(values: np.ndarray) -> str:
    """Why the range of grey values is uncertain; empty if it is not."""
    if values.dtype != np.uint16:
        return "the file does not state the range of its values, so the lowest is black and the highest white"
    highest = int(values.max())
    if 255 < highest < 4096:
        return f"16-bit values of at most {highest} are dark; 12-bit ones have a range of 0 to 4095"
    return ""


def _scaled(values: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """Grey values as uint8 (H, W, 3)."""
    if value_range is None and values.dtype == np.uint16:
        value_range = (0.0, 65535.0)
    with np.errstate(invalid="ignore"):  # casting signalling NaNs warns
        values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = value_range or ((finite.min(), finite.max()) if finite.size else (0.0, 0.0))
    grey = np.zeros(values.shape)
    if low < high:
        grey = np.clip(np.nan_to_num((values - low) / (high - low), posinf=1.0, neginf=0.0), 0.0, 1.0)
    return np.repeat(np.rint(255.0 * grey).astype(np.uint8)[..., None], 3, axis=-1)


def _reason(file: Path | io.BytesIO, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        size = file.stat().st_size if isinstance(file, Path) else len(file.getvalue())
        return "not an image" if size else "the file is empty"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
