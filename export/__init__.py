"""A localizer as one artefact that gives classes, maps and boxes where it runs."""

from keras_cam.export.litert import save_litert
from keras_cam.export.litert_metadata import ModelCard
from keras_cam.export.mediapipe import save_mediapipe
from keras_cam.export.onnx import save_onnx
from keras_cam.export.saved_model import next_version, save_saved_model
from keras_cam.export.serving_files import write_serving_files
from keras_cam.export.signatures import Signatures, build_signatures
from keras_cam.export.web import save_web

__all__ = [
    "ModelCard",
    "Signatures",
    "build_signatures",
    "next_version",
    "save_litert",
    "save_mediapipe",
    "save_onnx",
    "save_saved_model",
    "save_web",
    "write_serving_files",
]
