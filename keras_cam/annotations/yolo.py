"""The folder that Ultralytics trains detectors on, https://docs.ultralytics.com/datasets/detect."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from keras_cam.annotations.options import AnnotationOptions, readable
from keras_cam.annotations.photo_copies import copy_photo, free_stem
from keras_cam.images.whole_folder import whole_folder
from keras_cam.inference.masks import polygons
from keras_cam.inference.records import Detection, Localization

# Ultralytics demands a part to validate on.
_DATA = """\
# Boxes of keras-cam, not corrected by a person. Let `val` be photos with true boxes.
train: images/train
val: images/train
names:
"""


@contextmanager
def yolo_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write `images/train/`, `labels/train/` and `data.yaml`.

    A line of a label file is the number of the class and x and y of the centre, width and height of the box;
    or, with masks, x and y of the corners of the largest outline of the mask. All are fractions of the photo.
    """
    with whole_folder(path) as folder:
        images, labels = (folder / part / "train" for part in ("images", "labels"))
        images.mkdir(parents=True)
        labels.mkdir(parents=True)

        def write(record: Localization) -> None:
            stem = free_stem(record, lambda stem: not (labels / f"{stem}.txt").exists())
            copy_photo(record, images / stem)
            lines = [_line(found, record, options) for found in record.boxed]
            (labels / f"{stem}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")

        yield write
        names = (json.dumps(readable(name), ensure_ascii=False) for name in options.categories.dense())
        listed = "".join(f"  {number}: {name}\n" for number, name in enumerate(names))
        (folder / "data.yaml").write_text(_DATA + (listed or "  {}\n"), encoding="utf-8")


def _line(found: Detection, record: Localization, options: AnnotationOptions) -> str:
    number, values = options.categories.number(found), _box(found)
    mask = record.mask(found) if options.masks else None
    if mask is not None:
        # A mask of a few scattered pixels has no outline: then the corners of the box are.
        values = next(iter(polygons(mask)), _corners(found))
    fractions = values.astype(np.float64).reshape(-1, 2) / (record.width, record.height)
    return " ".join([str(number), *(f"{value:.6f}" for value in fractions.ravel())])


def _box(found: Detection) -> np.ndarray:
    xmin, ymin, xmax, ymax = found.box_xyxy or (0.0,) * 4
    return np.array([(xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin])


def _corners(found: Detection) -> np.ndarray:
    xmin, ymin, xmax, ymax = found.box_xyxy or (0.0,) * 4
    return np.array([xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax])
