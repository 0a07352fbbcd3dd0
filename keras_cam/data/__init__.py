"""Annotated images, from the layouts they come in to batches."""

from keras_cam.data.annotated_images import (
    AnnotatedImage,
    AnnotatedImages,
    AnnotationError,
    AnnotationProblem,
    ProblemKind,
    describe_problems,
)
from keras_cam.data.batches import decode_error, to_dataset
from keras_cam.data.class_match import ClassMatch, match_classes
from keras_cam.data.image_index import ImageIndex, RawBox
from keras_cam.data.layouts import LAYOUTS, Layout, read_annotations

__all__ = [
    "LAYOUTS",
    "AnnotatedImage",
    "AnnotatedImages",
    "AnnotationError",
    "AnnotationProblem",
    "ClassMatch",
    "ImageIndex",
    "Layout",
    "ProblemKind",
    "RawBox",
    "decode_error",
    "describe_problems",
    "match_classes",
    "read_annotations",
    "to_dataset",
]
