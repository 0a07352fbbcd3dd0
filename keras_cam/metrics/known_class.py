"""How good the boxes of the true class are, whatever class was predicted."""

from typing import Any, Literal

import keras
from keras import ops

from keras_cam.metrics.boxes import box_ious
from keras_cam.metrics.image_metric import ImageMetric, value_or_nan
from keras_cam.metrics.localization_error import valid_iou
from keras_cam.metrics.true_class import boxes_of_true_class, count_boxes, truth_of_true_class

_NAMES = {
    "any": "gt_known_localization",
    "one": "single_object_gt_known",
    "several": "several_objects_gt_known",
}
"""The default name of `GTKnownLocalization` for each value of `objects`."""


@keras.saving.register_keras_serializable("keras_cam")
class MeanBoxIoU(ImageMetric):
    """The mean over images of the best IoU of a predicted box of the true class with a ground-truth box.

    For segmentation masks there is `keras.metrics.BinaryIoU`.

    Args:
        name: str.
        dtype: of the state.

    Update with:
        y_true: the dict of `keras_cam.metrics.true_class`; or boxes of the true class alone, (B, G, 4),
            padded with zeros. An image without a box of its true class does not count.
        y_pred: the output of a localizer, whose rows of the true class are judged; or boxes of the true class
            alone, (B, 4) or (B, R, 4). An image without such a box has 0: build the localizer with
            `top_k="all"` or `class_ids="input"` to have a row of every image's true class.

    Examples:
        >>> metric = MeanBoxIoU()
        >>> metric.update_state([[[0, 0, 10, 10]]], [[0, 0, 10, 6]])
        >>> round(float(metric.result()), 6)
        0.6
    """

    def __init__(self, name: str | None = None, dtype: Any = "float64") -> None:
        super().__init__(name=name or "mean_box_iou", dtype=dtype)

    def per_image(self, y_true: Any, y_pred: Any) -> Any:
        """The best IoU of each image; NaN for an image without a box of its true class. float32 (B,)."""
        truth, found = truth_of_true_class(y_true), boxes_of_true_class(y_true, y_pred)
        best = ops.max(box_ious(found, truth), axis=(1, 2), initial=0.0)
        return value_or_nan(count_boxes(truth) > 0, best)


@keras.saving.register_keras_serializable("keras_cam")
class GTKnownLocalization(MeanBoxIoU):
    """GT-known localization accuracy: the part of the images in which a box of the true class is right.

    Args:
        iou_threshold: float in [0, 1], the IoU with one of the ground-truth boxes that suffices.
        objects: which images count: "any"; "one", those with exactly one box of the true class; "several",
            those with more.
        name: str. By default `gt_known_localization`, or `single_object_gt_known` and
            `several_objects_gt_known`.
        dtype: of the state.

    Update with:
        y_true: as for `MeanBoxIoU`.
        y_pred: as for `MeanBoxIoU`; one right box suffices. An image without a row of its true class is
            wrong.

    Raises:
        ValueError: an argument is out of range.

    Reference:
        Choe et al., CVPR 2020, section 3.3.

    Examples:
        >>> metric = GTKnownLocalization(iou_threshold=0.5)
        >>> metric.update_state([[[0, 0, 10, 10], [0, 0, 0, 0]]], [[0, 0, 10, 6]])
        >>> float(metric.result())
        1.0
    """

    def __init__(
        self,
        iou_threshold: float = 0.5,
        objects: Literal["any", "one", "several"] = "any",
        name: str | None = None,
        dtype: Any = "float64",
    ) -> None:
        if objects not in _NAMES:
            raise ValueError(f"`objects` must be one of {list(_NAMES)}. Received: objects={objects!r}")
        super().__init__(name=name or _NAMES[objects], dtype=dtype)
        self.iou_threshold = valid_iou(iou_threshold)
        self.objects = objects

    def per_image(self, y_true: Any, y_pred: Any) -> Any:
        """1 for an image that is right, else 0; NaN for one that does not count. float32 (B,)."""
        right = super().per_image(y_true, y_pred) >= self.iou_threshold
        count = count_boxes(truth_of_true_class(y_true))
        counted = {"any": count > 0, "one": count == 1, "several": count > 1}[self.objects]
        return value_or_nan(counted, right)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "iou_threshold": self.iou_threshold, "objects": self.objects}
