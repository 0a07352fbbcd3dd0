"""Caltech-UCSD Birds-200-2011 as it is published, https://www.vision.caltech.edu/datasets/cub_200_2011/."""

import os
from pathlib import Path

from keras_cam.data.annotated_images import AnnotatedImages, ProblemKind
from keras_cam.data.image_index import ImageIndex, RawBox
from keras_cam.data.text_table import has_files, read_boxes, read_table

_MARKERS = ("images.txt", "image_class_labels.txt", "classes.txt")

SPLITS = {"test": "0", "train": "1"}
"""The values of train_test_split.txt."""


def is_cub200(folder: str, split: str | None = None) -> bool:
    """Whether a folder has images.txt, image_class_labels.txt and classes.txt."""
    return has_files(folder, _MARKERS)


def read_cub200(
    folder: str,
    split: str | None = None,
    images_dir: str | Path | None = None,
    strict: bool = False,
    allow_outside: bool = False,
) -> AnnotatedImages:
    """Reads a folder with images.txt, image_class_labels.txt, classes.txt and the folder images/.

    Boxes are read from bounding_boxes.txt if that file exists: x, y, width and height in pixels from 0. The
    index of a class is its position in classes.txt, sorted by id. The sizes of images are read from their
    headers.

    Args:
        folder: CUB_200_2011/.
        split: "train", "test", or None for both.
        images_dir: the folder of the images; None takes images/ in `folder`.
        strict: whether any problem in the annotations is an error.
        allow_outside: whether images may be outside of their folder.

    Returns:
        The data set, in the order of images.txt.

    Raises:
        ValueError: if `split` is another one.
        AnnotationError: if a file is missing, no image is usable, or `strict` finds a problem.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"`split` must be one of {sorted(SPLITS)} or None. Received: split={split!r}")
    index = ImageIndex(folder)
    images_txt, classes_txt, labels_txt = (
        os.path.join(folder, name) for name in ("images.txt", "classes.txt", "image_class_labels.txt")
    )
    files = read_table(images_txt, index, 2, "".join)
    names = read_table(classes_txt, index, 2, "".join)
    classes = {key: position for position, key in enumerate(sorted(names, key=_by_number))}
    labels = _labels(labels_txt, index, files, classes)
    boxes = _boxes(os.path.join(folder, "bounding_boxes.txt"), index, files, labels)
    if split is not None:
        splits = read_table(os.path.join(folder, "train_test_split.txt"), index, 2, "".join)
        files = {key: file for key, file in files.items() if splits.get(key) == SPLITS[split]}
    root = os.path.join(folder, "images") if images_dir is None else images_dir
    within = None if allow_outside else root
    for key, file in files.items():
        if key in labels:
            index.add(key, os.path.join(root, file), images_txt, labels[key], boxes.get(key, ()), root=within)
        else:
            index.report(ProblemKind.NO_LABEL, labels_txt, f"image {key}")
    return index.finish([names[key] for key in classes], strict)


def _labels(path: str, index: ImageIndex, files: dict[str, str], classes: dict[str, int]) -> dict[str, int]:
    labels = {}
    for key, category in read_table(path, index, 2, "".join).items():
        if key not in files:
            index.report(ProblemKind.UNKNOWN_IMAGE, path, f"image {key}")
        elif category not in classes:
            index.report(ProblemKind.UNKNOWN_CATEGORY, path, f"image {key}", f"class {category}")
        else:
            labels[key] = classes[category]
    return labels


def _boxes(
    path: str, index: ImageIndex, files: dict[str, str], labels: dict[str, int]
) -> dict[str, list[RawBox]]:
    boxes: dict[str, list[RawBox]] = {}
    if os.path.isfile(path):
        for place, key, xyxy in read_boxes(path, index, files, _xyxy):
            if key in labels:
                item = f"{os.path.basename(path)} {place}"
                boxes.setdefault(key, []).append(RawBox(item, xyxy, labels[key]))
    return boxes


def _xyxy(cells: list[str]) -> tuple[float, float, float, float]:
    x, y, width, height = map(float, cells)
    return x, y, x + width, y + height


def _by_number(key: str) -> tuple[int, str]:
    return (int(key) if key.isdecimal() else 0, key)
