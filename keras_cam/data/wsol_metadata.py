"""Annotations as the evaluation of Choe et al., CVPR 2020, keeps them (https://github.com/clovaai/wsolevaluation)."""

import os
from pathlib import Path

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex, RawBox
from keras_cam.data.text_table import has_files, read_boxes, read_table

_MARKERS = ("image_ids.txt", "class_labels.txt")

_MAX_CLASSES = 100_000


def is_wsol_metadata(source: str, split: str | None = None) -> bool:
    """Whether a folder, or its folder `split`, has image_ids.txt and class_labels.txt."""
    return has_files(_split_folder(source, split), _MARKERS)


def read_wsol_metadata(
    source: str,
    split: str | None = None,
    images_dir: str | Path | None = None,
    strict: bool = False,
    allow_outside: bool = False,
) -> AnnotatedImages:
    """Reads a folder with image_ids.txt and class_labels.txt, and the optional files of boxes and sizes.

    An id is the path of an image in the folder of images. The rows are `id,label` in class_labels.txt,
    `id,xmin,ymin,xmax,ymax` in localization.txt and `id,width,height` in image_sizes.txt. Labels are counted
    from 0 and, as the layout has no names, serve as class names. The maxima of boxes are inclusive in the
    file and half-open in the result.

    Args:
        source: a folder, for instance metadata/ILSVRC/.
        split: the folder in `source` that has the files, for instance "val"; None if `source` has them.
        images_dir: the folder of the images; None looks in the folder of the files, in its parent, and in
            `images/` in both.
        strict: whether any problem in the annotations is an error.
        allow_outside: whether images may be outside of their folder.

    Returns:
        The data set, in the order of image_ids.txt.

    Raises:
        AnnotationError: if a file is missing, no image is usable, or `strict` finds a problem.
    """
    folder = _split_folder(source, split)
    index = ImageIndex(folder)
    ids_txt, labels_txt, sizes_txt, boxes_txt = (
        os.path.join(folder, name)
        for name in ("image_ids.txt", "class_labels.txt", "image_sizes.txt", "localization.txt")
    )
    ids = read_table(ids_txt, index, 1, "".join, ",")
    labels = read_table(labels_txt, index, 2, _label, ",")
    sizes = read_table(sizes_txt, index, 3, _size_wh, ",") if os.path.isfile(sizes_txt) else {}
    for path, keys in ((labels_txt, labels), (sizes_txt, sizes)):
        for key in keys:
            if key not in ids:
                index.report(ProblemKind.UNKNOWN_IMAGE, path, f"image {key}")
    boxes: dict[str, list[RawBox]] = {}
    if os.path.isfile(boxes_txt):
        for place, key, xyxy in read_boxes(boxes_txt, index, ids, _xyxy, ","):
            if key in labels:
                boxes.setdefault(key, []).append(RawBox(f"localization.txt {place}", xyxy, labels[key]))
    root = _images_dir(folder, ids) if images_dir is None else images_dir
    within = None if allow_outside else root
    for key in ids:
        if key in labels:
            index.add(
                key,
                os.path.join(root, key),
                ids_txt,
                labels[key],
                boxes.get(key, ()),
                sizes.get(key),
                root=within,
            )
        else:
            index.report(ProblemKind.NO_LABEL, labels_txt, f"image {key}")
    names = map(str, range(max(labels.values(), default=-1) + 1))
    return index.finish(names, strict)


def _split_folder(source: str, split: str | None) -> str:
    return source if split is None else os.path.join(source, split)


def _images_dir(folder: str, ids: dict[str, str]) -> str:
    above = os.path.dirname(os.path.abspath(folder))
    candidates = [folder, os.path.join(folder, "images"), above, os.path.join(above, "images")]
    for candidate in candidates:
        if any(os.path.isfile(os.path.join(candidate, key)) for key in ids):
            return candidate
    raise AnnotationError(
        f"`images_dir` must be the folder that the ids in {folder}/image_ids.txt are relative to; none of "
        f"their files is in {', '.join(candidates)}."
    )


def _label(cells: list[str]) -> int:
    label = int(cells[0])
    if not 0 <= label < _MAX_CLASSES:  # a class for each number: one damaged line must not fill the memory
        raise ValueError(f"a label is at least 0 and less than {_MAX_CLASSES}")
    return label


def _size_wh(cells: list[str]) -> tuple[int, int]:
    width, height = map(int, cells)
    if width < 1 or height < 1:
        raise ValueError("a size is at least 1")
    return width, height


def _xyxy(cells: list[str]) -> tuple[float, float, float, float]:
    xmin, ymin, xmax, ymax = map(float, cells)
    return xmin, ymin, xmax + 1, ymax + 1
