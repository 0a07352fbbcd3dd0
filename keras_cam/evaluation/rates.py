"""The figures that count images, each with the metric that defines it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from keras_cam.metrics import ClassificationError, GTKnownLocalization, LocalizationError, PointingGame
from keras_cam.metrics.image_metric import ImageMetric

FIXED_BOXES = {
    "center_box": (0.5 - 0.5**1.5, 0.5 - 0.5**1.5, 0.5 + 0.5**1.5, 0.5 + 0.5**1.5),
    "full_image": (0.0, 0.0, 1.0, 1.0),
}
"""Boxes that need no model, as ymin, xmin, ymax, xmax in [0, 1]: half of the image's area, and all of it."""

GT_KNOWN_RATES: dict[str, Literal["any", "one", "several"]] = {
    "gt_known_accuracy": "any",
    "single_object_gt_known": "one",
    "several_objects_gt_known": "several",
}
"""The GT-known localization accuracies, each with the `objects` of its `GTKnownLocalization`."""


@dataclass(frozen=True)
class Rate:
    """A figure that is the mean of an outcome, 0 or 1, over images.

    Attributes:
        metric: what decides the outcome of an image.
        judged: what the metric is given as `y_pred`, a key of `judged_outputs`.
    """

    metric: ImageMetric
    judged: str


def rates(top_k: int = 5) -> dict[str, Rate]:
    """The rates by name, in the order in which they are shown.

    Args:
        top_k: how many predictions an image has for the second of each kind of errors.

    Examples:
        >>> list(rates(3))[:2]
        ['classification_top1_error', 'classification_top3_error']
    """
    ks = dict.fromkeys((1, top_k))
    return {
        **{f"classification_top{k}_error": Rate(ClassificationError(k), "predicted") for k in ks},
        **{f"localization_top{k}_error": Rate(LocalizationError(k), "predicted_boxes") for k in ks},
        **{
            name: Rate(GTKnownLocalization(objects=objects), "true_class_boxes")
            for name, objects in GT_KNOWN_RATES.items()
        },
        "pointing_game": Rate(PointingGame(), "true_class_map"),
        **{f"{name}_gt_known": Rate(GTKnownLocalization(), name) for name in FIXED_BOXES},
    }


def judged_outputs(found: Mapping[str, np.ndarray], boxes: np.ndarray) -> dict[str, Any]:
    """What the metrics judge, by what `Rate.judged` calls it; boxes are missing if there are none to judge.

    Args:
        found: see `keras_cam.evaluation.Protocol.boxes`; and `true_class_map` (B, h, w).
        boxes: what that method returned, (B, 1 + K, M, 4).
    """
    predicted = found["predicted"]
    batch, _, count, _ = boxes.shape
    judged: dict[str, Any] = {
        "predicted": {"detection_classes": predicted, "detection_boxes": np.zeros((*predicted.shape, 4))},
        "true_class_map": found["true_class_map"],
        **{name: np.tile(np.array(box, np.float32), (batch, 1)) for name, box in FIXED_BOXES.items()},
    }
    if count:
        judged["true_class_boxes"] = boxes[:, 0]
        judged["predicted_boxes"] = {
            "detection_classes": np.repeat(predicted, count, axis=1),
            "detection_boxes": boxes[:, 1:].reshape(batch, -1, 4),
        }
    return judged
