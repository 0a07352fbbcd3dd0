"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Another name under which to write a file, which gets its own name when the body has succeeded.

    Args:
        path: the file to write or to replace; its folder must be there.

    Yields:
        A path in the same folder, with the same suffix. It is hidden, so that nobody who watches the folder
        takes the unfinished file for the whole one, and gone when the body fails.

    Raises:
        OSError: if the file cannot be written.

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
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())  # a name must not outlive a crash that its content does not
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
