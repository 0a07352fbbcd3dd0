"""How well maps and boxes localize, and how faithful they are."""

from keras_cam.metrics.boxes import box_ious, pack_boxes
from keras_cam.metrics.localization_error import (
    ClassificationError,
    GTKnownLocalization,
    LocalizationError,
    MeanBoxIoU,
)
from keras_cam.metrics.max_box_accuracy import MaxBoxAcc, MaxBoxAccV2, PxAP

__all__ = [
    "ClassificationError",
    "GTKnownLocalization",
    "LocalizationError",
    "MaxBoxAcc",
    "MaxBoxAccV2",
    "MeanBoxIoU",
    "PxAP",
    "box_ious",
    "pack_boxes",
]
