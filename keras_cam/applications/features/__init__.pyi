from .attached_classifier import attach
from .backbone import backbone_of
from .benchmark_run import BenchmarkResult, run_benchmark
from .extraction import extract_features, extract_slice
from .feature_extractor import FeatureExtractor
from .feature_table import FeatureTable
from .linear_svm import LinearSvm, fit_linear_svm

__all__ = [
    "BenchmarkResult",
    "FeatureExtractor",
    "FeatureTable",
    "LinearSvm",
    "attach",
    "backbone_of",
    "extract_features",
    "extract_slice",
    "fit_linear_svm",
    "run_benchmark",
]
