"""Writing JSON arrays of any length."""

import json
from typing import Any, TextIO


class JsonArray:
    """A JSON array that is written item by item, one a line.

    Args:
        file: the text file that it is written to, from the current position.

    Examples:
        >>> import io
        >>> file = io.StringIO()
        >>> array = JsonArray(file)
        >>> array.append({"id": 1})
        >>> array.append({"id": 2})
        >>> array.close()
        >>> json.loads(file.getvalue())
        [{'id': 1}, {'id': 2}]
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self._before = file, "[\n"

    def append(self, item: Any) -> None:
        """Write an item."""
        self._file.write(self._before + json.dumps(item))
        self._before = ",\n"

    def close(self) -> None:
        """Write the end of the array; the file stays open."""
        self._file.write("[]" if self._before == "[\n" else "\n]")
