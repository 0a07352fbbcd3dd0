"""Photos in a Parquet file: a column of their bytes, and one of their names.

Importing this module does not import pyarrow.
"""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from keras_cam.images.stored_files import is_url, open_file

_BYTES = ("image", "bytes", "content", "jpg", "jpeg", "png")
_NAMES = ("name", "path", "file_name", "filename", "image_name", "image_id", "id", "key", "__key__")

# Rows are read few at a time: photos may be large.
_ROWS, _BATCHES = 16, 8

# The name of a column, and perhaps of a field in it.
_Column = tuple[str, ...]


class ParquetPhotos:
    """The photos in a Parquet file. Rows that are read in their order are decoded once, a page at a time.

    Args:
        path: the file or URL. Its photos are the column `image`, `bytes`, `content`, `jpg`, `jpeg` or
            `png`, of bytes or of structures with `bytes` and `path`; or else its only column of bytes.

    Raises:
        ValueError: there is no such column, or the file is broken.
        ModuleNotFoundError: pyarrow is not installed.
    """

    def __init__(self, path: str):
        try:
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f'{path} needs the package pyarrow: pip install "keras-cam[sources]"'
            ) from error
        # Otherwise pyarrow would read the whole column of a row group at once.
        page_by_page = {"buffer_size": 2**20, "pre_buffer": False}
        self._file = parquet.ParquetFile(open_file(path) if is_url(path) else path, **page_by_page)
        self._photos, self._names = _columns(self._file.schema_arrow)
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, list[bytes | None]]] = deque(maxlen=_BATCHES)
        self._batches: Iterator[tuple[int, list[bytes | None]]] = iter(())
        self._next = -1

    def names(self) -> Iterator[str]:
        """The name of each row; its number, if there is no column of names."""
        rows = self._file.metadata.num_rows
        if self._names is None:
            yield from map(str, range(rows))
            return
        number = 0
        for batch in self._file.iter_batches(columns=[".".join(self._names)]):
            for name in _values(batch, self._names):
                yield str(number if name is None else name)
                number += 1

    def read(self, row: int) -> bytes:
        """The bytes of the photo in a row.

        Raises:
            ValueError: it has none.
        """
        with self._lock:
            content = self._find(row)
        if content is None:
            raise ValueError("the row has no photo")
        return content

    def _find(self, row: int) -> bytes | None:
        for start, photos in self._kept:
            if start <= row < start + len(photos):
                return photos[row - start]
        group, first = self._group_of(row)
        if not first <= self._next <= row:  # it was passed, or lies in another row group
            self._batches, self._next = self._read_group(group, first), first
        for start, photos in self._batches:
            self._next = start + len(photos)
            self._kept.append((start, photos))
            if row < self._next:
                return photos[row - start]
        raise ValueError(f"the file has no row {row}")

    def _group_of(self, row: int) -> tuple[int, int]:
        """The row group of a row, and the number of its first row."""
        first = 0
        for group in range(self._file.num_row_groups):
            size = self._file.metadata.row_group(group).num_rows
            if row < first + size:
                return group, first
            first += size
        raise ValueError(f"the file has no row {row}")

    def _read_group(self, group: int, first: int) -> Iterator[tuple[int, list[bytes | None]]]:
        columns = [".".join(self._photos)]
        for batch in self._file.iter_batches(_ROWS, row_groups=[group], columns=columns):
            photos = _values(batch, self._photos)
            yield first, photos
            first += len(photos)


def _columns(schema: Any) -> tuple[_Column, _Column | None]:
    """The columns of photos and of names."""
    import pyarrow as pa

    def is_bytes(kind: Any) -> bool:
        return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)

    def is_text(kind: Any) -> bool:
        return pa.types.is_string(kind) or pa.types.is_large_string(kind)

    kinds = {field.name: field.type for field in schema}
    binary = [name for name, kind in kinds.items() if is_bytes(kind)]
    named = next(((name,) for name in _NAMES if name in kinds and is_text(kinds[name])), None)
    for name in (*_BYTES, *(binary if len(binary) == 1 else ())):
        kind = kinds.get(name)
        if kind is not None and is_bytes(kind):
            return (name,), named
        if kind is not None and pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return (name, "bytes"), named or ((name, "path") if kind.get_field_index("path") >= 0 else None)
    raise ValueError(f"it has no column of bytes called {', '.join(_BYTES)}, nor a single one at all")


def _values(batch: Any, column: _Column) -> list[Any]:
    """The values of the only column in a batch, or of its only field."""
    values = batch.column(0)
    for field in column[1:]:
        values = values.field(field)
    return values.to_pylist()
