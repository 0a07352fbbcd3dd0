"""Pooled features of any network, and linear classifiers on them as Keras models with exact maps."""

from keras_cam.applications.features.attached_classifier import attach
from keras_cam.applications.features.backbone import backbone_of
from keras_cam.applications.features.benchmark_run import BenchmarkResult, run_benchmark
from keras_cam.applications.features.extraction import extract_features, extract_slice
from keras_cam.applications.features.feature_table import FeatureTable
from keras_cam.applications.features.linear_svm import LinearSvm, fit_linear_svm

__all__ = [
    "BenchmarkResult",
    "FeatureTable",
    "LinearSvm",
    "attach",
    "backbone_of",
    "extract_features",
    "extract_slice",
    "fit_linear_svm",
    "run_benchmark",
]
