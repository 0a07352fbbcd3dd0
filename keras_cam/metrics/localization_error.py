"""How often the boxes are right: with the predicted class, or with the true one."""

from typing import Any

import keras
from keras import ops

from keras_cam.metrics.boxes import box_ious, unpack_boxes
from keras_cam.metrics.mergeable import Mergeable


@keras.saving.register_keras_serializable("keras_cam")
class LocalizationError(Mergeable, keras.metrics.Mean):
    """The ILSVRC localization error: the part of the images without a right class in a right box.

    An image is right if one of the first `top_k` predictions has the class of a ground-truth box and an IoU
    of at least `iou_threshold` with it.

    Args:
        top_k: int, how many predictions count: rows, best first. With the boxes of "tight_and_loose", 5.
        iou_threshold: float in [0, 1].
        name: str. By default `localization_error_top{top_k}`.
        dtype: of the state.

    Update with:
        y_true: a dict of `classes` (B, G), -1 where there is no box, and `boxes` (B, G, 4); or both packed,
            (B, G, 5). See `pack_boxes`.
        y_pred: the output of a localizer, a dict of `detection_classes` (B, K) and `detection_boxes`
            (B, K, 4); or both packed, (B, K, 5). Boxes in the unit and order of those of `y_true`, with
            half-open maxima.

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
        if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
            raise ValueError(f"`top_k` must be a positive integer. Received: top_k={top_k!r}")
        super().__init__(name=name or f"localization_error_top{top_k}", dtype=dtype)
        self.top_k = top_k
        self.iou_threshold = _valid_threshold(iou_threshold)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the images of a batch; `sample_weight` (B,) counts some for more than others."""
        classes_true, boxes_true = unpack_boxes(y_true, "classes", "boxes")
        classes, boxes = unpack_boxes(y_pred, "detection_classes", "detection_boxes")
        same = classes[:, : self.top_k, None] == classes_true[:, None, :]
        found = box_ious(boxes[:, : self.top_k], boxes_true) >= self.iou_threshold
        right = ops.any(same & found & (classes_true >= 0)[:, None, :], axis=(1, 2))
        super().update_state(1.0 - ops.cast(right, "float32"), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        config = {"top_k": self.top_k, "iou_threshold": self.iou_threshold}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("keras_cam")
class ClassificationError(LocalizationError):
    """The top-k classification error, of the rows whose boxes `LocalizationError` judges.

    For a classifier's logits there is `keras.metrics.SparseTopKCategoricalAccuracy`.

    Args:
        top_k: int, how many predictions count.
        name: str. By default `classification_error_top{top_k}`.
        dtype: of the state.

    Examples:
        >>> error = ClassificationError(top_k=1)
        >>> error.update_state({"classes": [[3]], "boxes": [[[0, 0, 9, 9]]]},
        ...                    {"detection_classes": [[3]], "detection_boxes": [[[0, 0, 0, 0]]]})
        >>> float(error.result())
        0.0
    """

    def __init__(self, top_k: int = 5, name: str | None = None, dtype: Any = "float64") -> None:
        super().__init__(top_k, 0.0, name or f"classification_error_top{top_k}", dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        config = super().get_config()
        del config["iou_threshold"]
        return config


@keras.saving.register_keras_serializable("keras_cam")
class MeanBoxIoU(Mergeable, keras.metrics.Mean):
    """The mean over images of the best IoU of a predicted box with a ground-truth box.

    The boxes are those of the known class. For segmentation masks there is `keras.metrics.BinaryIoU`.

    Args:
        name: str.
        dtype: of the state.

    Update with:
        y_true: (B, G, 4) boxes, padded with zeros.
        y_pred: (B, 4) a box an image, or (B, R, 4), in the unit and order of `y_true`.

    Examples:
        >>> metric = MeanBoxIoU()
        >>> metric.update_state([[[0, 0, 10, 10]]], [[0, 0, 10, 6]])
        >>> round(float(metric.result()), 6)
        0.6
    """

    def __init__(self, name: str | None = None, dtype: Any = "float64") -> None:
        super().__init__(name=name or "mean_box_iou", dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the images of a batch; `sample_weight` (B,) counts some for more than others."""
        super().update_state(_best_ious(y_true, y_pred), sample_weight)


@keras.saving.register_keras_serializable("keras_cam")
class GTKnownLocalization(MeanBoxIoU):
    """GT-known localization accuracy: how often the box of the true class is right.

    Args:
        iou_threshold: float in [0, 1], the IoU with some ground-truth box that suffices.
        name: str.
        dtype: of the state.

    Update with:
        y_true: (B, G, 4) boxes, padded with zeros.
        y_pred: (B, 4) the box of the true class, or (B, R, 4): one of them suffices.

    Reference:
        Choe et al., CVPR 2020, section 3.3.

    Examples:
        >>> metric = GTKnownLocalization(iou_threshold=0.5)
        >>> metric.update_state([[[0, 0, 10, 10], [0, 0, 0, 0]]], [[0, 0, 10, 6]])
        >>> float(metric.result())
        1.0
    """

    def __init__(self, iou_threshold: float = 0.5, name: str | None = None, dtype: Any = "float64") -> None:
        super().__init__(name=name or "gt_known_localization", dtype=dtype)
        self.iou_threshold = _valid_threshold(iou_threshold)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the images of a batch; `sample_weight` (B,) counts some for more than others."""
        right = _best_ious(y_true, y_pred) >= self.iou_threshold
        keras.metrics.Mean.update_state(self, ops.cast(right, "float32"), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "iou_threshold": self.iou_threshold}


def _best_ious(boxes_true: Any, boxes: Any) -> Any:
    boxes = ops.convert_to_tensor(boxes, "float32")
    if len(boxes.shape) == 2:
        boxes = boxes[:, None]
    return ops.max(box_ious(boxes, boxes_true), axis=(1, 2))


def _valid_threshold(iou_threshold: float) -> float:
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"`iou_threshold` must be in [0, 1]. Received: iou_threshold={iou_threshold}")
    return iou_threshold
