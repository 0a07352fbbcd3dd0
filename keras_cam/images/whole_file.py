"""Atomic writing of files."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when the `with` block succeeds.

    Args:
        path: the file to write or to replace; its folder must exist.

    Yields:
        A temporary path in the same folder, with the same suffix. The file is hidden, so that programs that
        watch the folder ignore it, and is deleted if the block fails.

    Raises:
        OSError: the file cannot be written.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with whole_file(folder / "labels.txt") as unfinished:
        ...     _ = unfinished.write_text("cat")
        ...     (folder / "labels.txt").exists()
        False
        >>> (folder / "labels.txt").read_text(), len(list(folder.iterdir()))
        ('cat', 1)
    """
    path = Path(path)
    # No process id: in a container it is that of the run before, which may have been killed.
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())  # the content must be on disk before the new name
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
