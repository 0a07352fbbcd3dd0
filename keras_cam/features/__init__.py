"""Pooled features of any network, linear classifiers on them, and these as Keras models with maps."""

from keras_cam.features.attach import attach
from keras_cam.features.backbone_of import backbone_of
from keras_cam.features.extract_features import extract_features
from keras_cam.features.feature_table import FeatureTable
from keras_cam.features.linear_svm import LinearSvm, fit_linear_svm
from keras_cam.features.run_benchmark import BenchmarkResult, run_benchmark

__all__ = [
    "BenchmarkResult",
    "FeatureTable",
    "LinearSvm",
    "attach",
    "backbone_of",
    "extract_features",
    "fit_linear_svm",
    "run_benchmark",
]
