"""Tables with a row for each detection."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_cam.annotations.options import AnnotationOptions
from keras_cam.images.whole_file import whole_file
from keras_cam.inference.records import COLUMNS, Localization

_ROW_GROUP = 8192


@contextmanager
def csv_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write a UTF-8 file with the columns `keras_cam.inference.records.COLUMNS`, which our own reader takes.

    Boxes are in pixels with half-open maxima; their cells are empty where there is no box.
    """
    with whole_file(path) as unfinished, open(unfinished, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()

        def write(record: Localization) -> None:
            table.writerows(_rows(record, options))

        yield write


@contextmanager
def parquet_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write the columns of `csv_writer` with their types, as a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    texts, integers = ("image", "model", "label"), ("width", "height", "rank", "class_id")
    kinds = {**dict.fromkeys(texts, pa.string()), **dict.fromkeys(integers, pa.int32())}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in COLUMNS])
    rows: list[dict[str, Any]] = []
    with whole_file(path) as unfinished, parquet.ParquetWriter(unfinished, schema) as table:

        def flush() -> None:
            table.write_table(pa.Table.from_pylist(rows, schema))
            rows.clear()

        def write(record: Localization) -> None:
            rows.extend(_rows(record, options))
            if len(rows) >= _ROW_GROUP:
                flush()

        yield write
        flush()


def _rows(record: Localization, options: AnnotationOptions) -> list[dict[str, Any]]:
    # File names may hold bytes that are not UTF-8, which neither format can hold.
    name = options.name(record).encode("utf-8", "backslashreplace").decode()
    rounded = ("xmin", "ymin", "xmax", "ymax", "score")
    return [
        {**row, "image": name, **{key: round(row[key], 6) for key in rounded if key in row}}
        for row in record.rows()
    ]
