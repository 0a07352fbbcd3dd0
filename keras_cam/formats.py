"""The table of export formats, with the writer and reader of each.

Importing this module does not import Keras.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        summary: its purpose and the kind of its path.
        writer: "module:function"; called with the localizer, the path, the labels and, if `is_quantized`,
            `quantization` and `representative_data`. It returns the paths that it wrote.
        reader: "module:class" of the `keras_cam.inference.Localizer` that opens the path; None if this
            package cannot open it.
        suffix: the suffix of the path; "" for a folder.
        extra: the extra of this package that writer and reader need; None for the plain installation.
        is_quantized: whether the format supports quantization.
        reader_needs_tensorflow: whether the reader imports TensorFlow.
    """

    summary: str
    writer: str
    reader: str | None
    suffix: str
    extra: str | None = None
    is_quantized: bool = False
    reader_needs_tensorflow: bool = False


FORMATS = {
    "saved_model": Format(
        summary="for TensorFlow Serving and TensorFlow; PATH is the folder of the model's versions",
        writer="keras_cam.export.saved_model:save_next_version",
        reader="keras_cam.inference.saved_model:SavedModelLocalizer",
        suffix="",
        reader_needs_tensorflow=True,
    ),
    "litert": Format(
        summary="for phones and Python without TensorFlow; PATH is a .tflite file",
        writer="keras_cam.export.litert:save_litert",
        reader="keras_cam.inference.litert:LiteRTLocalizer",
        suffix=".tflite",
        extra="litert",
        is_quantized=True,
    ),
    "mediapipe": Format(
        summary="for MediaPipe's ObjectDetector; PATH is a .tflite file",
        writer="keras_cam.export.mediapipe:save_mediapipe",
        reader=None,
        suffix=".tflite",
        extra="litert",
        is_quantized=True,
    ),
    "onnx": Format(
        summary="for ONNX Runtime and OpenVINO; PATH is a .onnx file",
        writer="keras_cam.export.onnx:save_onnx",
        reader="keras_cam.inference.onnx:OnnxLocalizer",
        suffix=".onnx",
        extra="onnx",
    ),
    "web": Format(
        summary="a page that runs the model in the browser; PATH is a new folder",
        writer="keras_cam.export.web:save_web",
        reader=None,
        suffix="",
        extra="litert",
        is_quantized=True,
    ),
}

QUANTIZATIONS = {
    "float16": "weights in 16-bit floats",
    "dynamic": "weights in 8-bit integers",
    "int8": "weights and activations of the network in 8-bit integers",
    "int8_full": "the same, with images as uint8",
}
"""The quantizations of LiteRT models."""

CALIBRATED = ("int8", "int8_full")
"""The quantizations that need calibration images, to measure the range of each activation."""


def load_object(location: str) -> Any:
    """Import the object "module:name"."""
    module, _, name = location.partition(":")
    return getattr(import_module(module), name)
