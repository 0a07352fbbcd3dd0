from .litert import save_litert
from .litert_metadata import ModelCard
from .mediapipe import save_mediapipe
from .onnx import save_onnx
from .saved_model import next_version, save_next_version, save_saved_model
from .serving_files import write_serving_files
from .signatures import Signatures, build_signatures
from .web import save_web

__all__ = [
    "ModelCard",
    "Signatures",
    "build_signatures",
    "next_version",
    "save_litert",
    "save_mediapipe",
    "save_next_version",
    "save_onnx",
    "save_saved_model",
    "save_web",
    "write_serving_files",
]
