"""Annotations in COCO's format for object detection, https://cocodataset.org/#format-data."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, Polygons, ProblemKind
from keras_cam.data.cub200 import is_cub200
from keras_cam.data.image_index import ImageIndex, RawBox
from keras_cam.data.wsol_metadata import is_wsol_metadata

_UNREADABLE = ProblemKind.UNREADABLE_ANNOTATION


def is_coco_json(source: str, split: str | None = None) -> bool:
    """Whether `source` is a .json file, or a folder with `<split>.json` or, without a split, any .json file.

    A .json file in the folder of CUB-200-2011 or of wsolevaluation is read only if `split` names it.
    """
    if os.path.isfile(source):
        return source.lower().endswith(".json")
    if split is not None:
        return os.path.isfile(os.path.join(source, f"{split}.json"))
    return bool(_json_files(source)) and not is_cub200(source) and not is_wsol_metadata(source)


def read_coco_json(
    source: str,
    split: str | None = None,
    images_dir: str | Path | None = None,
    strict: bool = False,
    allow_outside: bool = False,
) -> AnnotatedImages:
    """Reads a COCO JSON file with `images`, `annotations` and `categories`.

    The index of a class is the position of its category when they are sorted by id, so ids 0, 1, 2 … are
    kept. `bbox` is x, y, width, height in pixels from 0. An annotation without `bbox` only adds a label, and
    so does a crowd (`iscrowd`), whose box does not belong to one object. Polygons in `segmentation` are the
    outline of the object; run-length codes are ignored.

    Args:
        source: the JSON file, or a folder with `<split>.json`, `annotations.json` or only one .json file.
        split: of a folder, the file to read.
        images_dir: the folder that `file_name` is relative to; None takes that of the JSON file.
        strict: whether any problem in the annotations is an error.
        allow_outside: whether images may be outside of their folder.

    Returns:
        The data set.

    Raises:
        ValueError: if `split` is given for a file, or is needed to choose between several files.
        AnnotationError: if the file is not such JSON, no image is usable, or `strict` finds a problem.
    """
    path = _json_file(source, split)
    document = _load(path)
    index = ImageIndex(path)
    names, classes = _categories(document["categories"], index, path)
    root = os.path.dirname(path) if images_dir is None else images_dir
    within = None if allow_outside else root
    images = _images(document["images"], index, path)
    boxes = _boxes(document["annotations"], index, path, images, classes)
    for image_id, entry in images.items():
        image = os.path.join(root, entry["file_name"])
        index.add(str(image_id), image, path, None, boxes[image_id], _size_wh(entry), root=within)
    return index.finish(names, strict)


def _json_files(folder: str) -> list[str]:
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in names if name.endswith(".json") and not name.startswith("."))


def _json_file(source: str, split: str | None) -> str:
    """The JSON file that `source` and `split` name."""
    if os.path.isfile(source):
        if split is not None:
            raise ValueError(f"`split` must be None, for {source} is one split. Received: split={split!r}")
        return source
    files = _json_files(source)
    if split is not None:
        return os.path.join(source, f"{split}.json")
    if len(files) > 1 and "annotations.json" not in files:
        splits = [file.removesuffix(".json") for file in files]
        raise ValueError(f"`split` must be one of {splits} for {source}. Received: split=None")
    return os.path.join(source, files[0] if len(files) == 1 else "annotations.json")


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(f"Cannot read {path} as JSON: {error}") from error
    wanted = ("images", "annotations", "categories")
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in wanted):
        found = sorted(document) if isinstance(document, dict) else type(document).__name__
        raise AnnotationError(f"{path} must be COCO JSON with the lists {', '.join(wanted)}. Found: {found}")
    return document


def _categories(entries: Sequence[Any], index: ImageIndex, path: str) -> tuple[list[str], dict[Any, int]]:
    """The class names, and the class index of each category id."""
    names: dict[int, str] = {}
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
            index.report(_UNREADABLE, path, f"category number {position}", "no integer `id`")
        elif index.is_new(names, entry["id"], path, f"category {entry['id']}"):
            names[entry["id"]] = str(entry.get("name", entry["id"]))
    ids = sorted(names)
    return [names[key] for key in ids], {key: position for position, key in enumerate(ids)}


def _images(entries: Sequence[Any], index: ImageIndex, path: str) -> dict[Any, dict[str, Any]]:
    images: dict[Any, dict[str, Any]] = {}
    for position, entry in enumerate(entries):
        fits = isinstance(entry, dict) and isinstance(entry.get("id"), int | str)
        if not fits or not isinstance(entry.get("file_name"), str):
            index.report(_UNREADABLE, path, f"image number {position}", "no `id` or no `file_name`")
        elif index.is_new(images, entry["id"], path, f"image {entry['id']}"):
            images[entry["id"]] = entry
    return images


def _boxes(
    entries: Sequence[Any],
    index: ImageIndex,
    path: str,
    images: Mapping[Any, Any],
    classes: Mapping[Any, int],
) -> dict[Any, list[RawBox]]:
    """The annotations of each image, in the order of the file."""
    boxes: dict[Any, list[RawBox]] = {image_id: [] for image_id in images}
    seen: set[Any] = set()
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict):
            index.report(_UNREADABLE, path, f"annotation number {position}", "no object")
            continue
        item = f"annotation {entry['id']}" if "id" in entry else f"annotation number {position}"
        image_id, category = entry.get("image_id"), entry.get("category_id")
        if "id" in entry and not index.is_new(seen, str(entry["id"]), path, item):
            continue
        seen.add(str(entry.get("id")))
        if not isinstance(image_id, int | str) or image_id not in boxes:
            index.report(ProblemKind.UNKNOWN_IMAGE, path, item, f"image_id {image_id!r}")
        elif not isinstance(category, int) or category not in classes:
            detail = f"category_id {category!r} of image {image_id}"
            index.report(ProblemKind.UNKNOWN_CATEGORY, path, item, detail)
        else:
            xyxy = _xyxy(entry, index, path, item)
            outline = _outline(entry.get("segmentation"), index, path, item)
            boxes[image_id].append(RawBox(item, xyxy, classes[category], outline))
    return boxes


def _xyxy(
    entry: Mapping[str, Any], index: ImageIndex, path: str, item: str
) -> tuple[float, float, float, float] | None:
    bbox = entry.get("bbox")
    if not bbox or entry.get("iscrowd"):
        return None
    try:
        x, y, width, height = map(float, bbox)
    except (TypeError, ValueError, OverflowError):
        index.report(_UNREADABLE, path, item, f"`bbox` must be four numbers, not {bbox!r}")
        return None
    return x, y, x + width, y + height


def _outline(segmentation: Any, index: ImageIndex, path: str, item: str) -> Polygons:
    if not isinstance(segmentation, list):  # a dict is a run-length code
        return ()
    try:
        polygons = tuple(np.array(polygon, np.float32).reshape(-1, 2) for polygon in segmentation)
        if any(len(polygon) < 3 or not np.isfinite(polygon).all() for polygon in polygons):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        detail = "`segmentation` must be lists of at least three corners x, y; only the box is used"
        index.report(_UNREADABLE, path, item, detail)
        return ()
    return polygons


def _size_wh(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None
