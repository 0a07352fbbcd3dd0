"""Keras layers of the package. Importing this module registers them for `keras.models.load_model`."""

from keras_cam.layers.affinity_refinement import AffinityRefinement
from keras_cam.layers.aligned_features import AlignedFeatures
from keras_cam.layers.attention_dropout import AttentionDropout
from keras_cam.layers.augmented_maps import AugmentedMaps, ScaledImages
from keras_cam.layers.class_activation_head import ClassActivationHead
from keras_cam.layers.class_labels import ClassLabels
from keras_cam.layers.class_selection import ClassSelection
from keras_cam.layers.dilated_pooling import DilatedPooling2D
from keras_cam.layers.foreground_maps import ForegroundMaps
from keras_cam.layers.half_steps import HalfSteps, InterleavedMaps
from keras_cam.layers.local_response_normalization import LocalResponseNormalization
from keras_cam.layers.localizer_model import LocalizerModel
from keras_cam.layers.map_detections import MapDetections
from keras_cam.layers.pixel_normalization import PixelNormalization
from keras_cam.layers.pixel_window import PixelWindow
from keras_cam.layers.second_look import SecondLookMaps, SecondLookWindows, WindowCrops
from keras_cam.layers.unit_range import UnitRange

__all__ = [
    "AffinityRefinement",
    "AlignedFeatures",
    "AttentionDropout",
    "AugmentedMaps",
    "ClassActivationHead",
    "ClassLabels",
    "ClassSelection",
    "DilatedPooling2D",
    "ForegroundMaps",
    "HalfSteps",
    "InterleavedMaps",
    "LocalResponseNormalization",
    "LocalizerModel",
    "MapDetections",
    "PixelNormalization",
    "PixelWindow",
    "ScaledImages",
    "SecondLookMaps",
    "SecondLookWindows",
    "UnitRange",
    "WindowCrops",
]
