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
from keras_cam.data.layouts import read_annotations

__all__ = [
    "AnnotatedImage",
    "AnnotatedImages",
    "AnnotationError",
    "AnnotationProblem",
    "ProblemKind",
    "decode_error",
    "describe_problems",
    "read_annotations",
    "to_dataset",
]
