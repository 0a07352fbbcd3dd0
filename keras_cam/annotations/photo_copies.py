"""The photos of a data set, under names of their own."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from keras_cam.images.files import ImageError, read_image, write_png
from keras_cam.images.sources import reason_of
from keras_cam.inference.records import Localization

# What Ultralytics, OpenCV and Pillow all read; others become PNG.
_COMMON = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_LONGEST = 100  # characters, of up to 4 bytes; folders take names of 255 bytes


def plain_name(text: str) -> str:
    """Text as a part of a file name that any system and format takes.

    Examples:
        >>> plain_name("church/outdoor: 10\\x01?")
        'church_outdoor_ 10__'
    """
    text = "".join(char if char.isprintable() else "_" for char in text)
    return re.sub(r'[\\/:*?"<>|]', "_", text)[:_LONGEST].strip(" .") or "_"


def free_stem(record: Localization, is_free: Callable[[str], bool]) -> str:
    """The stem of a photo's name if that is free, else one with a part that depends on its path.

    Two photos in different folders may have the same name. Asking the folder itself what is free keeps memory
    constant.
    """
    return next(stem for stem in _stems(record) if is_free(stem))


def _stems(record: Localization) -> Iterator[str]:
    stem = plain_name(Path(record.image).stem)
    yield stem
    path = hashlib.sha1(os.fsencode(record.image), usedforsecurity=False).hexdigest()[:12]
    yield f"{stem}-{path}"
    yield from (f"{stem}-{path}-{number}" for number in count(2))


def copy_photo(record: Localization, stem: Path) -> Path:
    """Put the photo of a record into a data set: as a hard link where that is possible, else as a copy.

    Args:
        record: the record.
        stem: the path of the new file, without suffix.

    Returns:
        The path of the new file. Photos in formats that not all tools read, and arrays, are written as PNG.

    Raises:
        ImageError: the photo cannot be read any more.
    """
    source = Path(record.image)
    suffix = source.suffix.lower()
    if record.pixels is not None or suffix not in _COMMON:
        path = stem.with_name(f"{stem.name}.png")
        write_png(path, read_image(source) if record.pixels is None else record.pixels)
        return path
    path = stem.with_name(stem.name + suffix)
    try:
        source = source.resolve(strict=True)
    except OSError as error:
        raise ImageError(record.image, reason_of(error)) from error
    try:
        os.link(source, path)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, path)
    return path
