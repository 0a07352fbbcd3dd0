"""A localizer as a LiteRT (TFLite) file: for phones, browsers, small computers, Python without TensorFlow."""

import os
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_cam.export.constant_head import with_constant_head
from keras_cam.export.convert_to_litert import convert_to_litert
from keras_cam.export.litert_file import finished_file
from keras_cam.export.litert_metadata import ModelCard, litert_metadata
from keras_cam.export.signatures import Signatures, build_signatures
from keras_cam.localizer import DEFAULT_IMAGE_SIZE, check_localizer

SIGNATURES = ("localize", "classify", "cam")
"""Those of a LiteRT file. The first is also what programs get that ask for none."""

_FIRST_OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")


def save_litert(
    localizer: keras.Model,
    path: str | Path,
    labels: Sequence[str] | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 1,
    card: ModelCard | None = None,
) -> Path:
    """Save a localizer as one LiteRT file, which `keras_cam.runtime.LiteRTLocalizer` runs without TensorFlow.

    Its signatures are `localize`, `classify` and `cam` of `keras_cam.export.Signatures`, for a fixed number
    of images of a fixed size and any number of asked classes. They share the weights, and use only LiteRT's
    own operations. The names of the classes are inside as `labels.txt`, and metadata as other tools read it.

    The file appears whole or not at all: it is written under another name beside it and then renamed.

    Args:
        localizer: a model as `keras_cam.build_localizer` makes it, with images as its only input.
        path: the file, `.tflite`, which must not exist yet.
        labels: the names of all classes; see `keras_cam.export.build_signatures`.
        image_size: (height, width) of the images, for a localizer that takes any; by default 224 x 224.
        batch_size: how many images the file takes at once.
        card: what the metadata say about the model.

    Returns:
        `path`.

    Raises:
        ValueError: `localizer` is none or has operations that LiteRT lacks, or `path` is no .tflite file.
        FileExistsError: there is such a file already.
        OSError: the file cannot be written.

    Example:

    >>> import tempfile
    >>> import numpy as np
    >>> import keras_cam
    >>> from keras_cam.runtime import LiteRTLocalizer
    >>> layers = [keras.layers.Conv2D(8, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    >>> model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     localizer = keras_cam.build_localizer(model, labels=["cat", "dog"])
    ...     lite = LiteRTLocalizer(save_litert(localizer, f"{folder}/pets.tflite"))
    >>> lite.labels, lite.localize(np.zeros((3, 32, 32, 3)))["detection_boxes"].shape
    (('cat', 'dog'), (3, 2, 4))
    """
    path = checked_path(path)
    signatures = fixed_signatures(localizer, labels, image_size, batch_size)
    functions = {name: signatures.functions[name] for name in SIGNATURES}
    model = convert_to_litert(functions, signatures.localizer.variables)
    names = sorted(signatures.localizer.output, key=_place)
    metadata = litert_metadata(card or ModelCard(), signatures.size_hw, names)
    write_whole(path, finished_file(model, SIGNATURES[0], names, metadata, signatures.labels))
    return path


def fixed_signatures(
    localizer: keras.Model,
    labels: Sequence[str] | None,
    image_size: tuple[int, int] | None,
    batch_size: int,
) -> Signatures:
    """The signatures of a localizer for a fixed number of images of a fixed size, with constant weights."""
    check_localizer(localizer)
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size!r}")
    if image_size is None:
        _, height, width, _ = localizer.inputs[0].shape
        image_size = (height or DEFAULT_IMAGE_SIZE, width or DEFAULT_IMAGE_SIZE)
    constant = with_constant_head(localizer)
    return build_signatures(constant, labels, image_size=image_size, batch_size=batch_size)


def checked_path(path: str | Path) -> Path:
    """The path of a new LiteRT file."""
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: path={str(path)!r}")
    if path.exists():
        raise FileExistsError(f"`path` must be a new file; none is overwritten. Received: path={str(path)!r}")
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _place(output: str) -> tuple[int, str]:
    """Where an output comes: boxes, classes, scores and their number, then the others by name."""
    first = output in _FIRST_OUTPUTS
    return (_FIRST_OUTPUTS.index(output) if first else len(_FIRST_OUTPUTS), output)
