"""How often the predicted class is right, alone and together with its box."""

from typing import Any

import keras
from keras import ops

from keras_cam.metrics.boxes import box_ious, unpack_boxes
from keras_cam.metrics.image_metric import ImageMetric, value_or_nan
from keras_cam.metrics.true_class import true_boxes


@keras.saving.register_keras_serializable("keras_cam")
class ClassificationError(ImageMetric):
    """The top-k classification error of a localizer's rows: the part of the images with no right class.

    For a classifier's logits there is `keras.metrics.SparseTopKCategoricalAccuracy`.

    Args:
        top_k: int, how many predicted classes count, those with the highest scores.
        name: str. By default `classification_error_top{top_k}`.
        dtype: of the state.

    Update with:
        y_true: a dict of `classes` (B, G), -1 where there is no box, `boxes` (B, G, 4) and optionally
            `labels` (B,), see `keras_cam.metrics.true_class`; or classes and boxes packed, (B, G, 5), see
            `pack_boxes`. With `labels` only the label is right, else the class of any box is. An image
            without a class does not count.
        y_pred: the output of a localizer; or a dict of at least `detection_classes` (B, R) and
            `detection_boxes` (B, R, 4); or both packed, (B, R, 5). Without `detection_scores`, classes count
            in the order of the rows. Several rows of one class are one prediction.

    Raises:
        ValueError: `top_k` is not a positive integer.

    Examples:
        >>> error = ClassificationError(top_k=1)
        >>> error.update_state({"classes": [[3]], "boxes": [[[0, 0, 9, 9]]]},
        ...                    {"detection_classes": [[3]], "detection_boxes": [[[0, 0, 0, 0]]]})
        >>> float(error.result())
        0.0
    """

    def __init__(self, top_k: int = 5, name: str | None = None, dtype: Any = "float64") -> None:
        if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
            raise ValueError(f"`top_k` must be a positive integer. Received: top_k={top_k!r}")
        super().__init__(name=name or f"classification_error_top{top_k}", dtype=dtype)
        self.top_k = top_k

    def per_image(self, y_true: Any, y_pred: Any) -> Any:
        """1 for an image that is wrong, else 0; NaN for an image without a class. float32 (B,)."""
        classes_true, _ = true_boxes(y_true)
        if isinstance(y_true, dict) and "labels" in y_true:
            classes_true = ops.cast(y_true["labels"], "int32")[:, None]
        right = ops.any(self._pairs(classes_true, y_pred), axis=(1, 2))
        return value_or_nan(ops.any(classes_true >= 0, axis=1), ops.logical_not(right))

    def _pairs(self, classes_true: Any, y_pred: Any) -> Any:
        """Which rows are among the first predictions and have the class of which box: bool (B, R, G)."""
        classes, _ = unpack_boxes(y_pred, "detection_classes", "detection_boxes")
        same = classes[:, :, None] == classes_true[:, None, :]
        real = (classes_true >= 0)[:, None, :]
        counts = _class_ranks(classes, y_pred, self.top_k) < self.top_k
        return ops.logical_and(ops.logical_and(same, real), counts[:, :, None])

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "top_k": self.top_k}


@keras.saving.register_keras_serializable("keras_cam")
class LocalizationError(ClassificationError):
    """The ILSVRC localization error: the part of the images with no right class in a right box.

    An image is right if one of its first `top_k` predicted classes is that of a ground-truth box, and one of
    this class's predicted boxes has an IoU of at least `iou_threshold` with it.

    Args:
        top_k: int, how many predicted classes count, those with the highest scores.
        iou_threshold: float in [0, 1].
        name: str. By default `localization_error_top{top_k}`.
        dtype: of the state.

    Update with:
        y_true: as for `ClassificationError`. An image without a box, or with `labels` without a box of its
            label, does not count.
        y_pred: as for `ClassificationError`. Boxes are in the unit and order of those of `y_true`, with
            half-open maxima.

    Raises:
        ValueError: an argument is out of range.

    Reference:
        Russakovsky et al., IJCV 2015, "ImageNet Large Scale Visual Recognition Challenge", section 4.2;
        Zhou et al., CVPR 2016, section 3.2.

    Examples:
        >>> error = LocalizationError(top_k=1)
        >>> truth = {"classes": [[3], [3]], "boxes": [[[0, 0, 10, 10]]] * 2}
        >>> found = {"detection_classes": [[3, 1], [1, 3]], "detection_boxes": [[[0, 0, 10, 8]] * 2] * 2}
        >>> error.update_state(truth, found)
        >>> float(error.result())  # in the second image the right class comes second
        0.5
    """

    def __init__(
        self, top_k: int = 5, iou_threshold: float = 0.5, name: str | None = None, dtype: Any = "float64"
    ) -> None:
        super().__init__(top_k, name or f"localization_error_top{top_k}", dtype)
        self.iou_threshold = valid_iou(iou_threshold)

    def per_image(self, y_true: Any, y_pred: Any) -> Any:
        """1 for an image that is wrong, else 0; NaN for an image without a box. float32 (B,)."""
        classes_true, boxes_true = true_boxes(y_true)
        _, boxes = unpack_boxes(y_pred, "detection_classes", "detection_boxes")
        found = box_ious(boxes, boxes_true) >= self.iou_threshold
        right = ops.any(ops.logical_and(self._pairs(classes_true, y_pred), found), axis=(1, 2))
        return value_or_nan(ops.any(classes_true >= 0, axis=1), ops.logical_not(right))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "iou_threshold": self.iou_threshold}


def valid_iou(iou_threshold: float) -> float:
    """The threshold, if it is in [0, 1].

    Raises:
        ValueError: it is not.
    """
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"`iou_threshold` must be in [0, 1]. Received: iou_threshold={iou_threshold}")
    return iou_threshold


def _class_ranks(classes: Any, y_pred: Any, top_k: int) -> Any:
    """The place of each row's class among the predicted classes, 0 the best: int32 (B, R).

    Rows cannot be counted instead: a class may have several, and those without a box come last.
    """
    if classes.shape[1] is not None and classes.shape[1] <= top_k:
        return ops.zeros_like(classes)
    scores = y_pred.get("detection_scores") if isinstance(y_pred, dict) else None
    scores = ops.zeros_like(classes, "float32") if scores is None else ops.cast(scores, "float32")
    same = classes[:, :, None] == classes[:, None, :]
    first = ops.cast(ops.argmax(ops.cast(same, "int32"), axis=2), "int32")  # the first row of the same class
    is_first = first == ops.arange(ops.shape(classes)[1], dtype="int32")
    higher = scores[:, None, :] > scores[:, :, None]
    tied = scores[:, None, :] == scores[:, :, None]
    earlier = first[:, None, :] < first[:, :, None]
    better = ops.logical_or(higher, ops.logical_and(tied, earlier))
    better = ops.logical_and(better, ops.logical_and(is_first[:, None, :], ops.logical_not(same)))
    return ops.sum(ops.cast(better, "int32"), axis=2)
