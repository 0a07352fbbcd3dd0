"""Images in TFRecord files, under the keys that TensorFlow's own tools use.

TensorFlow itself is imported because the records are its protocol buffers.
"""

import io
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, ProblemKind
from keras_cam.data.encoded_image import EncodedImage
from keras_cam.data.image_index import ImageIndex, RawBox
from keras_cam.images.files import ImageError
from keras_cam.models.labels import read_labels

_SUFFIXES = (".tfrecord", ".tfrecords")

_IMAGE = ("image/encoded", "image")
_LABEL = ("image/class/label", "label")
_SIDES = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))

# A record: length (8 bytes), checksum of the length (4), data, checksum of the data (4).
_HEAD, _TAIL = 12, 4


@dataclass(frozen=True, slots=True)
class TfRecordImage(EncodedImage):
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
                return _bytes(_parse(file.read(self.length)), _IMAGE)
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
        AnnotationError: if a file is not a TFRecord file, no image is usable, or `strict` finds a problem.
    """
    files = _files(source, split)
    if not files:
        raise AnnotationError(
            f"`source` must be TFRecord files. Received: source={source!r}, split={split!r}"
        )
    index = ImageIndex(files[0] if len(files) == 1 else source)
    records = [record for file in files for record in _records(file)]
    names = _names(records, os.path.join(os.path.dirname(files[0]), "labels.txt"))
    order = (
        list(dict.fromkeys(names[label] for label in sorted(names))) if class_names is None else class_names
    )
    classes = {name: position for position, name in enumerate(order)}
    for record in records:
        item = f"image {record.image.name}"
        unknown = {names[label] for label in record.labels} - classes.keys()
        for name in sorted(unknown):
            index.report(ProblemKind.UNKNOWN_CATEGORY, record.image.file, item, name)
        if record.size_wh is None:
            index.report(ProblemKind.UNREADABLE_IMAGE, record.image.file, item)
            continue
        boxes = [
            RawBox(f"object {number}", _pixels(sides, record.size_wh), classes[names[label]])
            for number, (sides, label) in enumerate(record.boxes, start=1)
            if names[label] in classes
        ]
        index.add(record.image.name, record.image, record.image.file, None, boxes, record.size_wh)
    return index.finish(order, strict)


@dataclass(frozen=True)
class _Record:
    image: TfRecordImage
    size_wh: tuple[int, int] | None
    boxes: list[tuple[tuple[float, ...] | None, int]]  # xyxy in [0, 1] or None, and the label
    texts: dict[int, str]

    @property
    def labels(self) -> list[int]:
        return [label for _, label in self.boxes]


def _files(source: str, split: str | None) -> list[str]:
    if os.path.isfile(source):
        return [source] if _is_tf_record(source) else []
    names = os.listdir(source) if os.path.isdir(source) else []
    chosen = sorted(name for name in names if _is_tf_record(name) and name.startswith(split or ""))
    return [os.path.join(source, name) for name in chosen]


def _is_tf_record(name: str) -> bool:
    base = os.path.basename(name)
    return base.endswith(_SUFFIXES) or any(
        f"{suffix}-" in base for suffix in _SUFFIXES
    )  # name.tfrecord-00000-of-9


def _records(file: str) -> Iterator[_Record]:
    size = os.path.getsize(file)
    with open(file, "rb") as stream:
        offset, number = 0, 0
        while offset < size:
            head = stream.read(_HEAD)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == _HEAD else size
            data = stream.read(length) if offset + _HEAD + length + _TAIL <= size else b""
            if not data:
                raise AnnotationError(
                    f"{file} is not a TFRecord file, or it ends in the middle of record {number}."
                )
            yield _record(file, offset + _HEAD, number, data)
            stream.seek(_TAIL, os.SEEK_CUR)
            offset, number = offset + _HEAD + length + _TAIL, number + 1


def _record(file: str, offset: int, number: int, data: bytes) -> _Record:
    try:
        example = _parse(data)
        encoded = _bytes(example, _IMAGE)
        labels = [label for key in _LABEL for label in _values(example, key)][:1]
    except Exception as error:  # from the protocol buffer
        raise AnnotationError(
            f"Record {number} of {file} is not an example with an image: {error}"
        ) from error
    name = b"".join(_values(example, "image/filename")).decode(errors="replace")
    image = TfRecordImage(file, offset, len(data), name or f"{os.path.basename(file)}:{number}")
    sides = list(zip(*(_values(example, side) for side in _SIDES), strict=False))
    own = list(_values(example, "image/object/class/label")) or labels * len(sides)
    boxes: list[tuple[tuple[float, ...] | None, int]] = [(None, label) for label in labels]
    boxes += zip(sides, own, strict=False)
    texts = dict(zip(labels, _values(example, "image/class/text"), strict=False))
    texts |= dict(zip(own, _values(example, "image/object/class/text"), strict=False))
    try:
        size_wh = Image.open(io.BytesIO(encoded)).size
    except Exception:  # a decoder raises nearly anything on bytes it does not expect
        return _Record(image, None, boxes, {})
    return _Record(
        image, size_wh, boxes, {label: text.decode(errors="replace") for label, text in texts.items()}
    )


def _names(records: Sequence[_Record], labels_file: str) -> dict[int, str]:
    """The class name of each label."""
    labels = sorted({label for record in records for label in record.labels})
    if os.path.isfile(labels_file):
        lines = read_labels(labels_file)
        if labels and not 0 <= labels[0] <= labels[-1] < len(lines):
            raise AnnotationError(
                f"{labels_file} must have a line for each label. "
                f"Received: {len(lines)} lines and label {labels[-1]}"
            )
        return dict(enumerate(lines))
    texts = {label: text for record in records for label, text in record.texts.items()}
    return {label: texts.get(label, str(label)) for label in labels}


def _pixels(
    sides: tuple[float, ...] | None, size_wh: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    if sides is None:
        return None
    (xmin, ymin, xmax, ymax), (width, height) = sides, size_wh
    return xmin * width, ymin * height, xmax * width, ymax * height


def _parse(data: bytes) -> Any:
    import tensorflow as tf

    return tf.train.Example.FromString(data).features.feature


def _values(example: Any, key: str) -> Sequence[Any]:
    """The values of a feature (bytes, floats or integers); empty if the example does not have it."""
    if key not in example:
        return ()
    feature = example[key]
    kind = feature.WhichOneof("kind")
    return getattr(feature, kind).value if kind else ()


def _bytes(example: Any, keys: Sequence[str]) -> bytes:
    for key in keys:
        for value in _values(example, key):
            return value
    raise ValueError(f"it has neither {' nor '.join(keys)}")
