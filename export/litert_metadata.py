"""The metadata of a LiteRT file, in the format that MediaPipe and Android Studio read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np

from keras_cam.inference.litert import LABELS_FILE

_FILE_IDENTIFIER = b"M001"

# Values of the schema's unions and enumerations.
_IMAGE_PROPERTIES, _BOUNDING_BOX_PROPERTIES = np.uint8(2), np.uint8(3)
_NORMALIZATION_OPTIONS = np.uint8(1)
_UNKNOWN_COLOURS, _RGB, _GREY = np.uint8(0), np.uint8(1), np.uint8(2)
_BOUNDARIES, _TENSOR_VALUE_LABELS = np.uint8(1), np.uint8(3)

# A table of the schema is represented as a dict from field numbers to values.
_Table = dict[int, Any]

# MediaPipe's `ObjectDetector` finds the outputs by these names.
_OUTPUTS = {
    "detection_boxes": ("location", "ymin, xmin, ymax and xmax of each box, in [0, 1]."),
    "detection_classes": ("category", "The class in each box."),
    "detection_scores": ("score", "The probability of each class."),
    "num_detections": ("number of detections", "How many rows have a box. These come first."),
    "class_activation_maps": ("class activation map", "The raw map of each class."),
    "localization_maps": ("localization map", "The map that each box was made from, in [0, 1]."),
}


@dataclass(frozen=True)
class ModelCard:
    """The description of a model.

    Attributes:
        name: the name of the model.
        description: a sentence about its purpose.
        version: its version.
        author: its author.
        license: its license, such as an SPDX identifier.
    """

    name: str = "keras-cam localizer"
    description: str = "Says what is in a photo, and where: classes, boxes and class activation maps."
    version: str = "1"
    author: str | None = None
    license: str | None = None


def litert_metadata(
    card: ModelCard, size_hw: tuple[int, int], outputs: Sequence[str], channels: int = 3
) -> bytes:
    """Make the metadata of a model whose first subgraph takes images and has the outputs of a localizer.

    Args:
        card: the description of the model.
        size_hw: the height and width of the images.
        outputs: the localizer's names of the outputs, in the order of the file.
        channels: those of the images: 3, RGB in 0..255; 1, grey; or any number of bands. Of other than RGB
            images the range of the values is left open.

    Returns:
        A FlatBuffer.

    Reference:
        https://ai.google.dev/edge/litert/models/metadata and its `metadata_schema.fbs`.

    Examples:
        >>> litert_metadata(ModelCard("cats"), (224, 224), ["detection_boxes"])[4:8]
        b'M001'
    """
    subgraph = {
        0: card.name,
        2: [_image_tensor(size_hw, channels)],
        3: [_output_tensor(name) for name in outputs],
        8: [{0: "detection_result", 1: ["location", "category", "score"]}],
    }
    model = {
        0: card.name,
        1: card.description,
        2: card.version,
        3: [subgraph],
        4: card.author,
        5: card.license,
        7: "1.0.0",  # the lowest schema version that a reader must support
    }
    builder = flatbuffers.Builder()
    builder.Finish(_write(builder, model), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def _image_tensor(size_hw: tuple[int, int], channels: int) -> _Table:
    height, width = map(np.uint32, size_hw)
    # The network normalizes pixels itself: mean 0 and standard deviation 1 tell callers not to.
    normalization = {0: np.array([0.0], np.float32), 1: np.array([1.0], np.float32)}
    description, colours = {1: ("Grey values.", _GREY), 3: ("RGB pixels in 0..255.", _RGB)}.get(
        channels, (f"Values of {channels} bands.", _UNKNOWN_COLOURS)
    )
    tensor: _Table = {
        0: "image",
        1: description,
        3: {0: _IMAGE_PROPERTIES, 1: {0: colours, 1: {0: width, 1: height}}},
        4: [{0: _NORMALIZATION_OPTIONS, 1: normalization}],
    }
    if channels == 3:
        tensor[5] = {0: np.array([255.0], np.float32), 1: np.array([0.0], np.float32)}
    return tensor


def _output_tensor(output: str) -> _Table:
    name, description = _OUTPUTS.get(output, (output, None))
    tensor: _Table = {0: name, 1: description}
    if name == "location":
        # The positions of left, top, right and bottom in the output.
        box = {0: np.array([1, 0, 3, 2], np.uint32), 1: _BOUNDARIES}
        tensor[3] = {0: _BOUNDING_BOX_PROPERTIES, 1: box, 2: {0: np.uint32(2), 1: np.uint32(2)}}
    if name == "category":
        tensor[6] = [{0: LABELS_FILE, 1: "The names of the classes, one a line.", 2: _TENSOR_VALUE_LABELS}]
    return tensor


def _write(builder: flatbuffers.Builder, value: Any) -> int:
    """Write a string, an array, a list or a table; returns its offset."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, np.ndarray):
        return builder.CreateNumpyVector(value)
    if isinstance(value, list):
        offsets = [_write(builder, item) for item in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    # Everything that a table refers to must be written before the table.
    fields = {
        number: field if isinstance(field, np.integer) else _write(builder, field)
        for number, field in value.items()
        if field is not None
    }
    builder.StartObject(max(fields) + 1)
    for number, field in fields.items():
        if isinstance(field, np.uint8):
            builder.PrependUint8Slot(number, int(field), 0)
        elif isinstance(field, np.uint32):
            builder.PrependUint32Slot(number, int(field), 0)
        else:
            builder.PrependUOffsetTRelativeSlot(number, field, 0)
    return builder.EndObject()
