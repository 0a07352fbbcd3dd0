"""The rows of parts, and the table of formats in which they are written.

Importing this module imports none of the packages that write them.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_cam.images.whole_file import whole_file
from keras_cam.inference.records import Detection, FailedImage, Localization

COLUMNS = ("image", "error", "width", "height", "class_id", "label", "score", "box", "rank")
"""The columns of a part.

A row for each detection, best first; a row without a class for a photo without detections; a row with `error`
for a photo that cannot be read. So each photo has exactly one row whose `rank` is 1 or empty. `box` is xmin,
ymin, xmax, ymax in pixels with half-open maxima, or empty.
"""

MAP_COLUMNS = ("map", "map_height", "map_width")
"""With maps: little-endian float32 values, row by row (base64 in JSON), and the shape."""

Row = dict[str, Any]


def rows_of(result: Localization | FailedImage, maps: bool = False) -> list[Row]:
    """The rows of a photo.

    Examples:
        >>> rows_of(FailedImage("no.jpg", "Cannot read no.jpg: the file is empty"))[0]["error"]
        'Cannot read no.jpg: the file is empty'
    """
    # File names may hold bytes that are not UTF-8, which no format can hold.
    name = result.image.encode("utf-8", "backslashreplace").decode()
    empty = {**dict.fromkeys(COLUMNS), **(dict.fromkeys(MAP_COLUMNS) if maps else {}), "image": name}
    if isinstance(result, FailedImage):
        return [{**empty, "error": result.error.encode("utf-8", "backslashreplace").decode()}]
    photo = {**empty, "width": result.width, "height": result.height}
    return [
        {**photo, **_detection(found), "rank": rank, **(_map(found) if maps else {})}
        for rank, found in enumerate(result.detections, 1)
    ] or [photo]


def _detection(found: Detection) -> Row:
    box = None if found.box_xyxy is None else [round(side, 6) for side in found.box_xyxy]
    return {"class_id": found.class_id, "label": found.label, "score": round(found.score, 6), "box": box}


def _map(found: Detection) -> Row:
    height, width = found.activation_map.shape
    return {"map": found.activation_map.astype("<f4").tobytes(), "map_height": height, "map_width": width}


@dataclass(frozen=True)
class PartFormat:
    """A format of parts.

    Attributes:
        suffix: of the file.
        write: writes rows with some columns into a file.
        read: the rows of a file, with some of its columns; a broken one raises `ValueError` or `OSError`.
    """

    suffix: str
    write: Callable[[Path, Sequence[Row], Sequence[str]], None]
    read: Callable[[Path, Sequence[str]], Iterable[Row]]


def _write_parquet(file: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {
        **dict.fromkeys(("image", "error", "label"), pa.string()),
        **dict.fromkeys(("width", "height", "class_id", "rank", "map_height", "map_width"), pa.int32()),
        "score": pa.float64(),
        "box": pa.list_(pa.float64()),
        "map": pa.binary(),
    }
    schema = pa.schema([(name, kinds[name]) for name in columns])
    parquet.write_table(pa.Table.from_pylist(list(rows), schema), file)


def _read_parquet(file: Path, columns: Sequence[str]) -> Iterable[Row]:
    from pyarrow import parquet

    return parquet.read_table(file, columns=list(columns), partitioning=None).to_pylist()


def _write_json_lines(file: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    with open(file, "w", encoding="ascii") as lines:
        for row in rows:
            coded = {key: base64.b64encode(row[key]).decode() for key in ("map",) if row.get(key) is not None}
            lines.write(json.dumps({**{name: row[name] for name in columns}, **coded}) + "\n")


def _read_json_lines(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    with open(file, encoding="ascii") as lines:
        for line in lines:
            row = json.loads(line)
            yield {name: row[name] for name in columns}


PART_FORMATS = {
    "parquet": PartFormat(".parquet", _write_parquet, _read_parquet),
    "jsonl": PartFormat(".jsonl", _write_json_lines, _read_json_lines),
}
"""The formats of parts by name."""


def write_part(path: Path, part_format: str, rows: Sequence[Row], maps: bool = False) -> None:
    """Write a part, which appears whole or not at all.

    Raises:
        OSError: it cannot be written.
        ModuleNotFoundError: the package that writes the format is not installed.
    """
    columns = (*COLUMNS, *MAP_COLUMNS) if maps else COLUMNS
    with whole_file(path) as unfinished:
        PART_FORMATS[part_format].write(unfinished, rows, columns)


def counts_of_part(path: Path, part_format: str) -> dict[str, int]:
    """How many photos, photos that could not be read, and rows are in a part.

    Raises:
        ValueError: the file is broken.
        OSError: the file cannot be read.
    """
    try:
        rows = [
            (row["rank"], row["error"]) for row in PART_FORMATS[part_format].read(path, ("rank", "error"))
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} lacks a column ({error})") from error
    return {
        "images": sum(rank in (None, 1) for rank, _ in rows),
        "failed": sum(error is not None for _, error in rows),
        "rows": len(rows),
    }
