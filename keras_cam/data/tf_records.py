"""Images in TFRecord files, under the keys that TensorFlow's own tools use.

TensorFlow itself is imported because the records are its protocol buffers.
"""

import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex, RawBox
from keras_cam.images.files import ImageError
from keras_cam.images.tf_examples import (
    RECORD_HEAD,
    RECORD_TAIL,
    feature_values,
    features_of,
    image_in,
    is_tf_record,
)
from keras_cam.models.labels import read_labels

_LABEL = ("image/class/label", "label")
_SIDES = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))


@dataclass(frozen=True, slots=True)
class TfRecordImage:
    """One image in a TFRecord file, read on demand.

    Attributes:
        file: the TFRecord file.
        offset: the position of its record in the file, in bytes.
        length: the length of the record in bytes.
        name: its name, for errors.
    """

    file: str
    offset: int
    length: int
    name: str

    def encoded(self) -> bytes:
        """Returns the image as it is stored in the record."""
        try:
            with open(self.file, "rb") as file:
                file.seek(self.offset)
                return image_in(features_of(file.read(self.length)))
        except Exception as error:  # from the file, or from the protocol buffer
            raise ImageError(self.name, str(error)) from error


def is_tf_records(source: str, split: str | None = None) -> bool:
    """Whether `source` is a TFRecord file, or a folder with some whose names begin with `split`."""
    return bool(_files(source, split))


def read_tf_records(
    source: str, split: str | None = None, class_names: Sequence[str] | None = None, strict: bool = False
) -> AnnotatedImages:
    """Reads TFRecord files of `tf.train.Example`.

    An example has the features `image` and `label`; or `image/encoded`, `image/class/label` and optionally
    `image/class/text`, `image/filename`, boxes in `image/object/bbox/xmin` and so on, in [0, 1], and
    `image/object/class/label` if objects have classes of their own.

    The index of a class is the position of its label when all labels are sorted. Class names are the lines of
    the file `labels.txt` beside the TFRecord files, one for each label from 0; without that file the texts in
    the examples, or else the labels themselves.

    Args:
        source: a TFRecord file, or a folder of them, which are read in the order of their names.
        split: of a folder, only files whose names begin with it are read; None reads all.
        class_names: the names of all classes in the order of their indices, so that a split without some of
            them has the same indices. None takes the names that occur.
        strict: whether any problem is an error.

    Returns:
        The data set. Images stay in the files until they are read.

    Raises:
        AnnotationError: if a file is not a TFRecord file or a checksum in it is wrong, no image is usable, or
            `strict` finds a problem.
    """
    files = _files(source, split)
    if not files:
        raise AnnotationError(
            f"`source` must be TFRecord files. Received: source={source!r}, split={split!r}"
        )
    index = ImageIndex(files[0] if len(files) == 1 else source)
    records = [record for file in files for record in _records(file)]
    names, contradicted = _names(records, os.path.join(os.path.dirname(files[0]), "labels.txt"))
    if class_names is None:
        # Two labels may have the same name, as ImageNet's two cranes.
        order: Sequence[str] = [names[label] for label in sorted(names)]
        classes = {label: position for position, label in enumerate(sorted(names))}
    else:
        order, places = class_names, {name: position for position, name in enumerate(class_names)}
        classes = {label: places[name] for label, name in names.items() if name in places}
    for record in records:
        item = f"image {record.image.name}"
        for name in sorted({names[label] for label in record.labels if label not in classes}):
            index.report(ProblemKind.UNKNOWN_CATEGORY, record.image.file, item, name)
        wrong = [
            f"label {label} is {text!r} here and {names[label]!r} elsewhere"
            for label, text in record.texts.items()
            if label in contradicted and text != names[label]
        ]
        for detail in [*record.broken, *wrong]:
            index.report(ProblemKind.UNREADABLE_ANNOTATION, record.image.file, item, detail)
        if wrong:
            continue
        if record.size_wh is None:
            index.report(ProblemKind.UNREADABLE_IMAGE, record.image.file, item)
            continue
        boxes = [
            RawBox(f"object {number}", _pixels(sides, record.size_wh), classes[label])
            for number, (sides, label) in enumerate(record.boxes, start=1)
            if label in classes
        ]
        index.add(record.image.name, record.image, record.image.file, None, boxes, record.size_wh)
    return index.finish(order, strict)


@dataclass(frozen=True)
class _Record:
    image: TfRecordImage
    size_wh: tuple[int, int] | None
    boxes: list[tuple[tuple[float, ...] | None, int]]  # xyxy in [0, 1] or None, and the label
    texts: dict[int, str]
    broken: tuple[str, ...] = ()  # what is wrong with its annotations

    @property
    def labels(self) -> list[int]:
        return [label for _, label in self.boxes]


def _files(source: str, split: str | None) -> list[str]:
    if os.path.isfile(source):
        return [source] if is_tf_record(source) else []
    names = os.listdir(source) if os.path.isdir(source) else []
    chosen = sorted(name for name in names if is_tf_record(name) and name.startswith(split or ""))
    return [os.path.join(source, name) for name in chosen]


def _records(file: str) -> Iterator[_Record]:
    """The records of a file, whose checksums are verified."""
    import tensorflow as tf

    offset, number = RECORD_HEAD, 0
    try:
        for data in tf.data.TFRecordDataset(file).as_numpy_iterator():
            yield _record(file, offset, number, data)
            offset, number = offset + len(data) + RECORD_TAIL + RECORD_HEAD, number + 1
    except tf.errors.DataLossError as error:
        raise AnnotationError(
            f"{file} is not a TFRecord file, or record {number} is damaged or ends in the middle."
        ) from error


def _record(file: str, offset: int, number: int, data: bytes) -> _Record:
    try:
        example = features_of(data)
        encoded = image_in(example)
        labels = [label for key in _LABEL for label in feature_values(example, key)][:1]
    except Exception as error:  # from the protocol buffer
        raise AnnotationError(
            f"Record {number} of {file} is not an example with an image: {error}"
        ) from error
    name = b"".join(feature_values(example, "image/filename")).decode(errors="replace")
    image = TfRecordImage(file, offset, len(data), name or f"{os.path.basename(file)}:{number}")
    columns = [feature_values(example, side) for side in _SIDES]
    own = list(feature_values(example, "image/object/class/label")) or labels * len(columns[0])
    lengths = [*map(len, columns), len(own)] if labels or own else [*map(len, columns)]
    broken: tuple[str, ...] = ()
    if len(set(lengths)) > 1:
        broken = (f"boxes have {', '.join(map(str, lengths))} values of xmin, ymin, xmax, ymax and labels",)
        columns, own = [()] * len(_SIDES), []
    sides = list(zip(*columns, strict=True))
    boxes: list[tuple[tuple[float, ...] | None, int]] = [(None, label) for label in labels]
    boxes += zip(sides, own, strict=False)
    texts = dict(zip(own, feature_values(example, "image/object/class/text"), strict=False))
    texts |= dict(zip(labels, feature_values(example, "image/class/text"), strict=False))
    try:
        size_wh = Image.open(io.BytesIO(encoded)).size
    except Exception:  # a decoder raises nearly anything on bytes it does not expect
        return _Record(image, None, boxes, {})
    named = {label: text.decode(errors="replace") for label, text in texts.items() if text}
    return _Record(image, size_wh, boxes, named, broken)


def _names(records: Sequence[_Record], labels_file: str) -> tuple[dict[int, str], set[int]]:
    """The class name of each label, and the labels for which records have different names.

    Of several names, the most frequent one counts.
    """
    labels = sorted({label for record in records for label in record.labels})
    if os.path.isfile(labels_file):
        lines = read_labels(labels_file)
        if labels and not 0 <= labels[0] <= labels[-1] < len(lines):
            raise AnnotationError(
                f"{labels_file} must have a line for each label. "
                f"Received: {len(lines)} lines and label {labels[-1]}"
            )
        return dict(enumerate(lines)), set()
    texts: dict[int, Counter[str]] = {label: Counter() for label in labels}
    for record in records:
        for label, text in record.texts.items():
            texts[label][text] += 1
    names = {label: max(found, key=found.__getitem__, default=str(label)) for label, found in texts.items()}
    return names, {label for label, found in texts.items() if len(found) > 1}


def _pixels(
    sides: tuple[float, ...] | None, size_wh: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    if sides is None:
        return None
    (xmin, ymin, xmax, ymax), (width, height) = sides, size_wh
    return xmin * width, ymin * height, xmax * width, ymax * height
