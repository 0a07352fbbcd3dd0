"""Atomic writing of folders."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Fill a folder under a temporary name and rename it when the `with` block succeeds.

    Args:
        path: the folder to make; the folder that it is in must exist. An empty folder is replaced.

    Yields:
        An empty hidden folder beside `path`, which is deleted if the block fails.

    Raises:
        FileExistsError: `path` is a file, or a folder that is not empty.
        OSError: the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp())
        >>> with whole_folder(place / "pets") as unfinished:
        ...     _ = (unfinished / "labels.txt").write_text("cat")
        ...     (place / "pets").exists()
        False
        >>> [file.relative_to(place).as_posix() for file in place.rglob("*.txt")]
        ['pets/labels.txt']
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"`path` must be a new folder or an empty one. Received: path={str(path)!r}")
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    unfinished.mkdir()
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
