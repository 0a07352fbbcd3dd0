"""Text files with one record a line, as CUB-200-2011 and wsolevaluation use them."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from keras_cam.data.annotated_images import AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex

_Value = TypeVar("_Value")


def has_files(folder: str, names: Sequence[str]) -> bool:
    """Whether all of these files are in a folder."""
    return all(os.path.isfile(os.path.join(folder, name)) for name in names)


def read_rows(
    path: str,
    index: ImageIndex,
    columns: int,
    value: Callable[[list[str]], _Value],
    separator: str | None = None,
) -> Iterator[tuple[str, str, _Value]]:
    """Reads `id, value` rows; a row that does not have that form is reported and skipped.

    Args:
        path: the file, UTF-8.
        index: where broken rows are reported.
        columns: how many columns a row has, the id included.
        value: what the columns after the id mean; a `ValueError` says that they mean nothing.
        separator: what stands between columns. With None, spaces do, and the last column may hold spaces
            itself; with any other, the id may hold it.

    Yields:
        The place of the row for reports, its id and its value.

    Raises:
        AnnotationError: if there is no such file or it is no text.
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
    """Reads rows with unique ids, see `read_rows`; of a repeated id the first row counts."""
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
    """Reads boxes of the `known` images, see `read_rows`; those of other images are reported."""
    for place, key, xyxy in read_rows(path, index, 5, value, separator):
        if key in known:
            yield place, key, xyxy
        else:
            index.report(ProblemKind.UNKNOWN_IMAGE, path, place, f"image {key}")
