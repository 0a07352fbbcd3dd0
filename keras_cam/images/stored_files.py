"""Files on this machine, or where fsspec finds them: `s3://`, `gs://`, `memory://` and other URLs.

Importing this module does not import fsspec.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(path: str) -> bool:
    """Whether a path is a URL.

    Examples:
        >>> is_url("s3://photos/cat.jpg"), is_url("photos/cat.jpg"), is_url("C:/cat.jpg")
        (True, False, False)
    """
    return bool(_URL.match(path))


def open_file(path: str) -> BinaryIO:
    """Open a file or URL, to read any part of it."""
    if not is_url(path):
        return open(path, "rb")
    system, place = _file_system(path)
    return system.open(place, "rb")


def read_range(path: str, start: int, size: int) -> bytes:
    """Read a part of a file or URL, with one request.

    Raises:
        EOFError: the file ends before.
    """
    if is_url(path):
        system, place = _file_system(path)
        content = system.cat_file(place, start=start, end=start + size)
    else:
        with open(path, "rb") as file:
            file.seek(start)
            content = file.read(size)
    if len(content) < size:
        raise EOFError("the file that it is in ends before")
    return content


def read_url(url: str) -> bytes:
    """The whole content of a URL."""
    system, place = _file_system(url)
    return system.cat_file(place)


def urls_below(url: str, suffixes: Sequence[str]) -> list[str]:
    """The URLs of all files below a folder or bucket with some suffixes, sorted, without hidden ones."""
    system, place = _file_system(url)
    below = (system.unstrip_protocol(file) for file in sorted(system.find(place)))
    return [file for file in below if is_photo(file, suffixes)]


def is_photo(name: str, suffixes: Sequence[str]) -> bool:
    """Whether a name has one of some suffixes, and is not hidden."""
    path = Path(name)
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def version_of(path: str) -> object:
    """What changes when a file on this machine is written again."""
    if is_url(path):
        return None
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _file_system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{url} needs the package fsspec: pip install "keras-cam[sources]"'
        ) from error
    return url_to_fs(url)
