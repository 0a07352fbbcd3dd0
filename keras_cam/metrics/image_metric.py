"""Metrics that are the mean of one number for each image."""

from typing import Any

import keras
from keras import ops

from keras_cam.metrics.mergeable import Mergeable


class ImageMetric(Mergeable, keras.metrics.Mean):
    """The mean of `per_image` over the images to which the metric applies.

    A subclass defines `per_image`; `keras_cam.evaluate` uses it too, for it reports each image.

    Examples:
        >>> from keras_cam.metrics import MeanBoxIoU
        >>> y_true = {"classes": [[7], [-1]], "boxes": [[[0, 0, 1, 1]], [[0, 0, 0, 0]]]}
        >>> y_pred = {"detection_classes": [[7], [7]], "detection_boxes": [[[0, 0, 1, 0.5]]] * 2}
        >>> metric = MeanBoxIoU()
        >>> metric.per_image(y_true, y_pred).numpy().tolist()  # the second image has no box
        [0.5, nan]
        >>> metric.update_state(y_true, y_pred)
        >>> float(metric.result())
        0.5
    """

    def per_image(self, y_true: Any, y_pred: Any) -> Any:
        """The value of each image, float32 (B,); NaN for images to which the metric does not apply."""
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the images of a batch; `sample_weight` (B,) gives them different weights."""
        values = self.per_image(y_true, y_pred)
        applies = ops.logical_not(ops.isnan(values))
        weight = ops.cast(applies, self.dtype)
        if sample_weight is not None:
            weight = weight * ops.cast(sample_weight, self.dtype)
        super().update_state(ops.where(applies, values, 0.0), weight)


def value_or_nan(applies: Any, values: Any) -> Any:
    """Values (B,) as float32, NaN where the metric does not apply.

    Examples:
        >>> value_or_nan([True, False], [True, True]).numpy().tolist()
        [1.0, nan]
    """
    return ops.where(applies, ops.cast(values, "float32"), float("nan"))
