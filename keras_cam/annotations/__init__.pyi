from .export import export_annotations
from .formats import ANNOTATION_FORMATS, AnnotationFormat
from .selection import Selection

__all__ = [
    "ANNOTATION_FORMATS",
    "AnnotationFormat",
    "Selection",
    "export_annotations",
]
