"""Lists of photos in text files."""

import os
import sys
from pathlib import Path


def read_photo_list(path: str | Path) -> list[str]:
    """The names in a list of files, one a line; or, where names may have line breaks, ended by NUL.

    Args:
        path: the list, as `find` writes it, or `find -print0`; "-" is standard input.

    Returns:
        The names in their order, each once. Empty lines are left out.

    Raises:
        OSError: the list cannot be read.

    Examples:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(b"a.jpg\\0two\\nlines.jpg\\0a.jpg\\0")
        ...     file.flush()
        ...     read_photo_list(file.name)
        ['a.jpg', 'two\\nlines.jpg']
    """
    content = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
    names = content.split(b"\0" if b"\0" in content else b"\n")
    return list(dict.fromkeys(os.fsdecode(name) for name in names if name))
