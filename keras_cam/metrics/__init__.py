"""How well maps and boxes localize, and how faithful they are.

Every class is a `keras.metrics.Metric` with constant state, merged with `merge_state`; results are in [0, 1].
"""

from keras_cam.metrics.boxes import box_ious, pack_boxes
from keras_cam.metrics.confidence_drop import (
    AverageDrop,
    AverageGain,
    IncreaseInConfidence,
    explanation_images,
)
from keras_cam.metrics.insertion_deletion import DeletionAUC, InsertionAUC, perturbed_images
from keras_cam.metrics.localization_error import (
    ClassificationError,
    GTKnownLocalization,
    LocalizationError,
    MeanBoxIoU,
)
from keras_cam.metrics.max_box_accuracy import MaxBoxAcc, MaxBoxAccV2, PxAP
from keras_cam.metrics.pointing_game import PointingGame
from keras_cam.metrics.road import ROAD, road_images
from keras_cam.metrics.wilson_interval import wilson_interval

__all__ = [
    "ROAD",
    "AverageDrop",
    "AverageGain",
    "ClassificationError",
    "DeletionAUC",
    "GTKnownLocalization",
    "IncreaseInConfidence",
    "InsertionAUC",
    "LocalizationError",
    "MaxBoxAcc",
    "MaxBoxAccV2",
    "MeanBoxIoU",
    "PointingGame",
    "PxAP",
    "box_ious",
    "explanation_images",
    "pack_boxes",
    "perturbed_images",
    "road_images",
    "wilson_interval",
]
