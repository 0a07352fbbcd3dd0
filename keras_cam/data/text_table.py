"""Text files with one record on each line, as in CUB-200-2011 and wsolevaluation."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from keras_cam.data.annotated_images import AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex

_Value = TypeVar("_Value")


def has_files(folder: str, names: Sequence[str]) -> bool:
    """Whether a folder has all of these files."""
    return all(os.path.isfile(os.path.join(folder, name)) for name in names)


def read_rows(
    path: str,
    index: ImageIndex,
    columns: int,
    value: Callable[[list[str]], _Value],
    separator: str | None = None,
) -> Iterator[tuple[str, str, _Value]]:
    """Reads rows of an id and a value. Rows of another form are reported and skipped.

    Args:
        path: the file, UTF-8.
        index: where broken rows are reported.
        columns: the number of columns, including the id.
        value: converts the columns after the id to the value; raises `ValueError` if they are invalid.
        separator: what separates columns. None means spaces, which the last column may contain. Any other
            separator may be contained in the id.

    Yields:
        The place of the row (for reports), its id and its value.

    Raises:
        AnnotationError: if the file does not exist or is not text.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, ValueError) as error:
        raise AnnotationError(f"Cannot read {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        split = line.split if separator is None else line.rsplit
        row = [cell.strip() for cell in split(separator, columns - 1)]
        place = f"line {number}"
        try:
            if len(row) != columns:
                raise ValueError(f"{columns} columns expected")
            parsed = value(row[1:])
        except ValueError as error:
            index.report(ProblemKind.UNREADABLE_ANNOTATION, path, place, f"{line!r}: {error}")
            continue
        yield place, row[0], parsed


def read_table(
    path: str,
    index: ImageIndex,
    columns: int,
    value: Callable[[list[str]], _Value],
    separator: str | None = None,
) -> dict[str, _Value]:
    """Reads rows with unique ids, see `read_rows`. Rows that repeat an id are reported and skipped."""
    table: dict[str, _Value] = {}
    for place, key, parsed in read_rows(path, index, columns, value, separator):
        if index.is_new(table, key, path, f"{place}, id {key}"):
            table[key] = parsed
    return table


def read_boxes(
    path: str,
    index: ImageIndex,
    known: dict[str, _Value],
    value: Callable[[list[str]], tuple[float, float, float, float]],
    separator: str | None = None,
) -> Iterator[tuple[str, str, tuple[float, float, float, float]]]:
    """Reads the boxes of `known` images, see `read_rows`. Boxes of other images are reported and skipped."""
    for place, key, xyxy in read_rows(path, index, 5, value, separator):
        if key in known:
            yield place, key, xyxy
        else:
            index.report(ProblemKind.UNKNOWN_IMAGE, path, place, f"image {key}")
