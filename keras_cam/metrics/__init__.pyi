from .boxes import box_ious, pack_boxes
from .confidence_drop import (
    AverageDrop,
    AverageGain,
    IncreaseInConfidence,
    explanation_images,
)
from .insertion_deletion import DeletionAUC, InsertionAUC, perturbed_images
from .intervals import wilson_interval
from .known_class import GTKnownLocalization, MeanBoxIoU
from .localization_error import ClassificationError, LocalizationError
from .max_box_accuracy import MaxBoxAcc, MaxBoxAccV2, PxAP
from .pointing_game import PointingGame
from .road import ROAD, road_images

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
