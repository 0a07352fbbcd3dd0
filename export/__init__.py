"""A localizer as one artefact that gives classes, maps and boxes where it runs."""

from keras_cam.export.litert_metadata import ModelCard
from keras_cam.export.save_litert import save_litert
from keras_cam.export.save_mediapipe import save_mediapipe
from keras_cam.export.save_onnx import save_onnx
from keras_cam.export.save_saved_model import next_version, save_saved_model
from keras_cam.export.save_web import save_web
from keras_cam.export.serving import ServingClient, ServingError
from keras_cam.export.serving_files import write_serving_files
from keras_cam.export.signatures import Signatures, build_signatures

__all__ = [
    "ModelCard",
    "ServingClient",
    "ServingError",
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
