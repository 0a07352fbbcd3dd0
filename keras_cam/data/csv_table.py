"""Annotations in a CSV file with a header and one row for each image or box."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex, RawBox

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def is_csv_table(source: str, split: str | None = None) -> bool:
    """Whether `source` is a .csv file, or a folder with the file `<split>.csv`."""
    return _csv_file(source, split) is not None


def read_csv_table(
    source: str,
    split: str | None = None,
    images_dir: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    strict: bool = False,
    allow_outside: bool = False,
) -> AnnotatedImages:
    """Reads a CSV file with a row for each label or box.

    Its columns are `image`, `label` and optionally `xmin`, `ymin`, `xmax`, `ymax` and `split`.
    `image` is the path of an image, `label` the name of a class. Each row adds a label to its image or, if
    it has all four coordinates, a box with that label. Coordinates are pixels with half-open maxima. Other
    columns are ignored.

    Args:
        source: the CSV file, UTF-8; or a folder with one CSV file for each split, named `<split>.csv`.
        split: of a folder, the file to read. Of a file, only rows with this value in the column `split` are
            read; None reads all.
        images_dir: the folder that `image` is relative to; None takes that of the CSV file.
        class_names: the names of all classes in the order of their indices; None takes all labels of the
            file, of all splits, sorted.
        strict: whether any problem in the annotations is an error.
        allow_outside: whether images may be outside of their folder.

    Returns:
        The data set, in the order of the file.

    Raises:
        ValueError: if no row has the split.
        AnnotationError: if the file is not such a table, no image is usable, or `strict` finds a problem.
    """
    path = _csv_file(source, split)
    if path is None:
        raise AnnotationError(
            f"`source` must be a .csv file or a folder of them. Received: source={source!r}"
        )
    if path != source:
        split = None  # the whole file is the split
    index = ImageIndex(path)
    rows = _rows(path)
    if split is not None:
        splits = sorted({row.get("split") or "" for row in rows})
        if split not in splits:
            raise ValueError(f"`split` must be one of {splits} for {path}. Received: split={split!r}")
    labels = sorted({row["label"].strip() for row in rows if (row["label"] or "").strip()})
    names = list(labels if class_names is None else class_names)
    classes = {name: position for position, name in enumerate(names)}
    boxes: dict[str, list[RawBox]] = {}
    for number, row in enumerate(rows, start=2):  # the header is line 1
        if split is None or row.get("split") == split:
            own = boxes.setdefault(row["image"] or "", [])
            own += _box(row, number, classes, index, path)
    root = os.path.dirname(path) if images_dir is None else images_dir
    for image, own in boxes.items():
        index.add(image, os.path.join(root, image), path, None, own, root=None if allow_outside else root)
    return index.finish(names, strict)


def _csv_file(source: str, split: str | None) -> str | None:
    if os.path.isfile(source):
        return source if source.lower().endswith(".csv") else None
    path = os.path.join(source, f"{split}.csv")
    return path if split is not None and os.path.isfile(path) else None


def _rows(path: str) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            found = reader.fieldnames or []  # read here, for the rows of an empty file do not read it
            rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise AnnotationError(f"Cannot read {path} as CSV: {error}") from error
    if not {"image", "label"} <= set(found):
        raise AnnotationError(f"{path} must have a header with the columns image and label. Found: {found}")
    return rows


def _box(
    row: Mapping[str, str], number: int, classes: Mapping[str, int], index: ImageIndex, path: str
) -> list[RawBox]:
    """The annotation of a row, as a list; empty, after a report, if it is unusable."""
    item, label = f"line {number}", (row["label"] or "").strip()
    if label not in classes:
        index.report(ProblemKind.UNKNOWN_CATEGORY, path, item, f"label {label!r}")
        return []
    cells = [(row.get(side) or "").strip() for side in _SIDES]
    if not any(cells):
        return [RawBox(item, None, classes[label])]
    try:
        xmin, ymin, xmax, ymax = map(float, cells)
    except ValueError:
        detail = f"a box has four numbers, not {', '.join(cells)}"
        index.report(ProblemKind.UNREADABLE_ANNOTATION, path, item, detail)
        return [RawBox(item, None, classes[label])]
    return [RawBox(item, (xmin, ymin, xmax, ymax), classes[label])]
