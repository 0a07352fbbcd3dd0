"""TFRecord files of `tf.train.Example`: where records are, and what is in one.

TensorFlow itself is imported because the records are its protocol buffers.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from keras_cam.images.stored_files import open_file

_SUFFIXES = (".tfrecord", ".tfrecords")

IMAGE_KEYS = ("image/encoded", "image")
"""The features that may hold an encoded image."""

RECORD_HEAD, RECORD_TAIL = 12, 4
"""Bytes before and after the data: the length (8) with its checksum (4), and the checksum of the data."""


def is_tf_record(name: str) -> bool:
    """Whether a name is that of a TFRecord file.

    Examples:
        >>> is_tf_record("a.tfrecord"), is_tf_record("a.tfrecord-00000-of-00009"), is_tf_record("a.tar")
        (True, True, False)
    """
    base = os.path.basename(name)
    return base.endswith(_SUFFIXES) or any(f"{suffix}-" in base for suffix in _SUFFIXES)


def record_places(path: str) -> Iterator[tuple[int, int]]:
    """The position and length in bytes of the data of each record. Only the lengths are read.

    Raises:
        ValueError: the file is no TFRecord file, or ends in the middle.
    """
    with open_file(path) as file:
        end, start, number = file.seek(0, os.SEEK_END), 0, 0
        while start < end:
            file.seek(start)
            size = int.from_bytes(file.read(8), "little")
            if start + RECORD_HEAD + size + RECORD_TAIL > end:
                raise ValueError(f"no TFRecord file, or record {number} is damaged or ends in the middle")
            yield start + RECORD_HEAD, size
            start, number = start + RECORD_HEAD + size + RECORD_TAIL, number + 1


def features_of(record: bytes) -> Any:
    """The features of an example by their names.

    Raises:
        Exception: it is none; of a type that protocol buffers choose.
    """
    import tensorflow as tf

    return tf.train.Example.FromString(record).features.feature


def feature_values(features: Any, key: str) -> Sequence[Any]:
    """The values of a feature (bytes, floats or integers); empty if the example does not have it."""
    if key not in features:
        return ()
    feature = features[key]
    kind = feature.WhichOneof("kind")
    return getattr(feature, kind).value if kind else ()


def image_in(features: Any) -> bytes:
    """The encoded image of an example.

    Raises:
        ValueError: it has none.
    """
    for key in IMAGE_KEYS:
        for value in feature_values(features, key):
            return value
    raise ValueError(f"it has neither {' nor '.join(IMAGE_KEYS)}")
