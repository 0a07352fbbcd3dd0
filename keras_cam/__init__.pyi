from . import annotations, callbacks, data, drawing, evaluation, export, inference, layers, metrics, training  # type: ignore[attr-defined]
from .annotations import export_annotations
from .data import read_annotations
from .evaluation import evaluate
from .graph.classification_head import find_classification_head
from .inference import Localization, load_localizer, localize, localize_files, to_dataframe
from .localizer import build_localizer
from .models.build_model import build_model
from .models.registry import list_models

__all__ = [
    "Localization",
    "annotations",
    "build_localizer",
    "build_model",
    "callbacks",
    "data",
    "drawing",
    "evaluate",
    "evaluation",
    "export",
    "export_annotations",
    "find_classification_head",
    "inference",
    "layers",
    "list_models",
    "load_localizer",
    "localize",
    "localize_files",
    "metrics",
    "read_annotations",
    "to_dataframe",
    "training",
]

__version__: str
