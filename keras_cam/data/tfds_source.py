"""Annotated images from TensorFlow Datasets, https://www.tensorflow.org/datasets.

TensorFlow Datasets, and TensorFlow with it, is imported only when such a data set is read.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex, RawBox

_PREFIX = "tfds:"

# NAME[/CONFIG][:VERSION][:SPLIT]; a version begins with a digit or is a star, a split with a letter.
_NAME = re.compile(r"(?P<name>[\w/.,=-]+(?::[\d*][\w.*]*)?)(?::(?P<split>[A-Za-z].*))?")


@dataclass(frozen=True, slots=True)
class TfdsImage:
    """One image of a data set, decoded on demand.

    Attributes:
        source: the examples, whose images are encoded.
        position: its position in `source`.
        name: its name, for errors.
    """

    source: Sequence[Any]
    position: int
    name: str

    def encoded(self) -> bytes:
        """Returns the image as it is stored in the data set."""
        return self.source[self.position]["image"]


def is_tfds(source: str, split: str | None = None) -> bool:
    """Whether `source` begins with `tfds:`."""
    return source.startswith(_PREFIX)


def read_tfds(
    source: str, split: str | None = None, data_dir: str | Path | None = None, strict: bool = False
) -> AnnotatedImages:
    """Reads a data set with the feature `image`, with `label`, `labels` or `objects`, and optionally `bbox`.

    `objects` is a sequence of `bbox` and, if objects have classes of their own, `label`. The data set is
    downloaded and prepared if necessary, in the ArrayRecord format: its images can be read one by one, so
    they need not be kept in memory.

    Args:
        source: `tfds:NAME`, `tfds:NAME/CONFIG` or `tfds:NAME:VERSION`, each optionally followed by `:SPLIT`.
        split: the split, for instance "test" or "train[:10%]"; None takes that of `source`, or the only one.
        data_dir: the folder in which data sets are kept; None takes the default of TensorFlow Datasets.
        strict: whether any problem in the annotations is an error.

    Returns:
        The data set. The `name` of an image is its feature `file_name` or, without one, its position.

    Raises:
        ValueError: if there is no such split, or both `split` and `source` name one.
        AnnotationError: if the data set has other features or was prepared in another format, no image is
            usable, or `strict` finds a problem.
    """
    name = source.removeprefix(_PREFIX)
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError(f"`source` must be tfds:NAME or tfds:NAME:SPLIT. Received: source={source!r}")
    if split and parts["split"]:
        raise ValueError(f"`split` must be None, for {source} names one. Received: split={split!r}")
    examples = _examples(parts["name"], split or parts["split"], data_dir)
    features = dict(examples.dataset_info.features.items())
    names, box_classes = _classes(features, name)
    origin = f"tfds:{name}"
    index = ImageIndex(origin)
    for position in range(len(examples)):
        example = examples[position]
        file_name = example.get("file_name", example.get("image/filename", str(position)))
        image_id = file_name.decode() if isinstance(file_name, bytes) else str(file_name)
        try:
            size_wh = Image.open(io.BytesIO(example["image"])).size
        except Exception as error:  # a decoder raises nearly anything on bytes it does not expect
            index.report(ProblemKind.UNREADABLE_IMAGE, origin, f"image {image_id}", str(error))
            continue
        image = TfdsImage(examples, position, f"{origin}, image {image_id}")
        label, boxes = _annotations(example, size_wh, box_classes)
        for box in boxes:
            if box.label < 0:
                detail = "its class is not a class of images"
                index.report(ProblemKind.UNKNOWN_CATEGORY, origin, f"image {image_id}, {box.item}", detail)
        known = [box for box in boxes if box.label >= 0]
        index.add(image_id, image, origin, label, known, size_wh)
    return index.finish(names, strict)


def _examples(name: str, split: str | None, data_dir: str | Path | None) -> Any:
    """The examples of a split, with encoded images."""
    import tensorflow_datasets as tfds

    try:
        examples = tfds.data_source(
            name,
            split=split,
            data_dir=data_dir,
            decoders={"image": tfds.decode.SkipDecoding()},
            builder_kwargs={"file_format": "array_record"},
        )
    except ValueError as error:
        if "File format" not in str(error):
            raise
        raise AnnotationError(
            f"tfds:{name} must be prepared with file_format='array_record', whose images can be read one by "
            "one. With another `data_dir` it is prepared again, in that format."
        ) from error
    if split is None:
        if len(examples) != 1:
            raise ValueError(
                f"`split` must be one of {sorted(examples)} for tfds:{name}. Received: split=None"
            )
        [examples] = examples.values()
    return examples


def _classes(features: Mapping[str, Any], name: str) -> tuple[list[str], np.ndarray | None]:
    """The names of all classes; and, if objects have labels, the class of each of these, -1 for none."""
    own = features["objects"].feature if "objects" in features else {}
    of_image = features.get("label", getattr(features.get("labels"), "feature", None))
    names = getattr(of_image, "names", None) or getattr(own.get("label"), "names", None)
    if "image" not in features or not names:
        raise AnnotationError(
            f"tfds:{name} must have the features `image` and `label`, `labels` or `objects`, with names of "
            f"the classes. Found: {sorted(features)}"
        )
    if "label" not in own:
        return list(names), None
    return list(names), np.array(
        [names.index(other) if other in names else -1 for other in own["label"].names]
    )


def _annotations(
    example: Mapping[str, Any], size_wh: tuple[int, int], box_classes: np.ndarray | None
) -> tuple[int | None, list[RawBox]]:
    """The class of the image itself, if it has one; and its annotations, in which class -1 is unknown."""
    label = int(example["label"]) if example.get("label", -1) >= 0 else None  # -1: a test set without labels
    boxes = [RawBox("labels", None, int(other)) for other in example.get("labels", ())]
    objects = example.get("objects", {})
    bboxes = np.reshape(objects["bbox"] if "bbox" in objects else example.get("bbox", ()), (-1, 4))
    if box_classes is not None:
        classes = box_classes[np.asarray(objects["label"], np.int64)]
    elif label is None and not boxes:
        return None, []
    else:
        classes = np.full(len(bboxes), boxes[0].label if label is None else label)
    width, height = size_wh
    for number, ((ymin, xmin, ymax, xmax), box_class) in enumerate(
        zip(bboxes, classes, strict=True), start=1
    ):
        xyxy = (float(xmin) * width, float(ymin) * height, float(xmax) * width, float(ymax) * height)
        boxes.append(RawBox(f"object {number}", xyxy, int(box_class)))
    return label, boxes
