"""All localization figures of a model, from batches of what its localizer returns."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_cam.metrics import choe2020
from keras_cam.metrics.localization_error import (
    ClassificationError,
    GTKnownLocalization,
    LocalizationError,
    MeanBoxIoU,
)
from keras_cam.metrics.max_box_accuracy import MaxBoxAcc, MaxBoxAccV2, PxAP
from keras_cam.metrics.pointing_game import PointingGame
from keras_cam.metrics.wilson_interval import wilson_interval

# Figures that are rates of images, for which an interval can be given.
_RATES = (ClassificationError, LocalizationError, GTKnownLocalization, PointingGame, MaxBoxAcc)


class LocalizationEvaluator:
    """Updates every metric with one call a batch.

    Memory does not depend on the number of images. Parts of a data set, evaluated apart, are added by
    `merge`.

    Args:
        image_size: (height, width) in pixels of the images as the boxes are given, and the size at which the
            pointing game is played. For images of several sizes see `update`.
        top_k: for which numbers of predictions the errors are counted.
        iou_threshold: float in [0, 1], for the errors and GT-known localization.
        all_thresholds: whether to judge the maps by the choe2020 protocol, too.

    Attributes:
        metrics: the Keras metrics by name.

    Example:

    >>> import numpy as np
    >>> evaluator = LocalizationEvaluator(image_size=(100, 100), top_k=(1,))
    >>> maps = np.zeros((1, 4, 4))
    >>> maps[0, 1:3, 1:3] = 1.0
    >>> evaluator.update(
    ...     maps,
    ...     known_boxes_xyxy=[[20, 20, 80, 80]],
    ...     class_ids=[[7]],
    ...     boxes_xyxy=[[[20, 20, 80, 80]]],
    ...     labels=[7],
    ...     boxes_true_xyxy=[np.array([[20, 20, 80, 75]])],
    ... )
    >>> figures = evaluator.result()
    >>> figures["gt_known_localization"], figures["localization_error_top1"]
    (1.0, 0.0)
    >>> evaluator.intervals()["gt_known_localization"][0] > 0.2
    True
    """

    def __init__(
        self,
        image_size: tuple[int, int] = (224, 224),
        top_k: Sequence[int] = (1, 5),
        iou_threshold: float = 0.5,
        all_thresholds: bool = True,
    ) -> None:
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.images = 0
        ranked = [ClassificationError(k) for k in top_k] + [
            LocalizationError(k, iou_threshold) for k in top_k
        ]
        self._ranked: list[Any] = ranked
        self._known: list[Any] = [GTKnownLocalization(iou_threshold), MeanBoxIoU()]
        self._pointing = PointingGame(self.image_size)
        self._judged: list[Any] = [MaxBoxAcc(), MaxBoxAccV2()] if all_thresholds else []
        self._pixels = PxAP()
        self._has_masks = False

    def update(
        self,
        maps: ArrayLike,
        known_boxes_xyxy: ArrayLike,
        class_ids: ArrayLike,
        boxes_xyxy: ArrayLike,
        labels: ArrayLike,
        boxes_true_xyxy: Sequence[ArrayLike],
        masks: ArrayLike | None = None,
        image_sizes_hw: ArrayLike | None = None,
    ) -> None:
        """Add a batch. Boxes are xyxy in pixels of their own image with half-open maxima.

        Args:
            maps: (B, h, w), raw maps of the true classes.
            known_boxes_xyxy: (B, 4), the boxes made from them; zeros where there is none.
            class_ids: (B, K) integers, the predicted classes, best first.
            boxes_xyxy: (B, K, 4), their boxes; zeros where there is none.
            labels: (B,) integers, the true classes.
            boxes_true_xyxy: for each image (G, 4), the boxes of its class, at least one.
            masks: (B, 224, 224) integers, for PxAP: 1 on the object, 0 beside it, 255 to be ignored.
            image_sizes_hw: (B, 2) heights and widths of the images in whose pixels the boxes are, if not all
                have the `image_size`.

        Raises:
            ValueError: numbers of images differ, or an image has no box.
        """
        maps = np.asarray(maps)
        truth = self._truth(len(maps), labels, boxes_true_xyxy)
        rows = {"detection_classes": np.asarray(class_ids), "detection_boxes": np.asarray(boxes_xyxy)}
        for name, values in {**rows, "known_boxes_xyxy": np.asarray(known_boxes_xyxy)}.items():
            if len(values) != len(maps):
                raise ValueError(f"There are {len(maps)} maps. Received: {len(values)} rows of {name}")
        for metric in self._ranked:
            metric.update_state(truth, rows)
        for metric in self._known:
            metric.update_state(truth["boxes"], np.asarray(known_boxes_xyxy, "float32"))
        sizes_hw = np.asarray([self.image_size] * len(maps) if image_sizes_hw is None else image_sizes_hw)
        scales_yx = np.array(self.image_size) / sizes_hw
        self._pointing.update_state(truth["boxes"] * scales_yx[:, None, [1, 0, 1, 0]], maps)
        if self._judged:
            self._judge(maps, boxes_true_xyxy, sizes_hw)
        if masks is not None:
            self._has_masks = True
            self._pixels.update_state(np.asarray(masks), maps)
        self.images += len(maps)

    def _truth(self, images: int, labels: ArrayLike, boxes_true_xyxy: Sequence[ArrayLike]) -> dict[str, Any]:
        labels = np.asarray(labels)
        if labels.shape != (images,) or len(boxes_true_xyxy) != images:
            raise ValueError(
                f"There are {images} maps. Received: labels of shape {labels.shape}, boxes of "
                f"{len(boxes_true_xyxy)} images"
            )
        boxes = pad_boxes(boxes_true_xyxy)
        return {"boxes": boxes, "classes": np.where(boxes.any(axis=2), labels[:, None], -1)}

    def _judge(self, maps: NDArray, boxes_true_xyxy: Sequence[ArrayLike], sizes_hw: NDArray) -> None:
        inclusive = list(map(choe2020.inclusive_boxes, boxes_true_xyxy, sizes_hw))
        padded = pad_boxes(inclusive, padding=-1)
        for metric in self._judged:
            metric.update_state(padded, maps)

    @property
    def metrics(self) -> dict[str, keras.metrics.Metric]:
        """The Keras metrics by name."""
        pixels = [self._pixels] if self._has_masks else []
        every = [*self._ranked, *self._known, self._pointing, *self._judged, *pixels]
        return {metric.name: metric for metric in every}

    def result(self) -> dict[str, float]:
        """Every figure by name, in [0, 1]. Those of choe2020 take the best threshold: an oracle."""
        return {name: float(metric.result()) for name, metric in self.metrics.items()}

    def intervals(self, confidence: float = 0.95) -> dict[str, tuple[float, float]]:
        """Wilson's interval of every figure that is a rate of images, by name.

        For `max_box_acc` it does not account for the choice of the threshold.
        """
        return {
            name: wilson_interval(round(float(metric.result()) * self.images), self.images, confidence)
            for name, metric in self.metrics.items()
            if isinstance(metric, _RATES) and not isinstance(metric, MaxBoxAccV2)
        }

    def merge(self, others: Iterable["LocalizationEvaluator"]) -> None:
        """Add what other evaluators with the same arguments have counted."""
        for other in others:
            self._has_masks = self._has_masks or other._has_masks
            self._pixels.merge_state([other._pixels])
            for mine, theirs in zip(self._every(), other._every(), strict=True):
                mine.merge_state([theirs])
            self.images += other.images

    def _every(self) -> list[Any]:
        return [*self._ranked, *self._known, self._pointing, *self._judged]


def pad_boxes(boxes: Sequence[ArrayLike], padding: float = 0) -> NDArray:
    """Lists of boxes of different length as one array.

    Args:
        boxes: for each image (G, 4), at least one.
        padding: what rows are filled with.

    Returns:
        (B, max G, 4) of the boxes' own dtype.

    Raises:
        ValueError: an image has no box.

    Example:

    >>> pad_boxes([[[1, 2, 3, 4]], [[5, 6, 7, 8], [0, 0, 9, 9]]])[0].tolist()
    [[1, 2, 3, 4], [0, 0, 0, 0]]
    """
    arrays = [np.asarray(box).reshape(-1, 4) for box in boxes]
    if empty := [index for index, array in enumerate(arrays) if len(array) == 0]:
        raise ValueError(f"Every image needs at least one box. Received: none for images {empty}")
    longest = max(map(len, arrays))
    filled = [np.pad(array, ((0, longest - len(array)), (0, 0)), constant_values=padding) for array in arrays]
    return np.stack(filled)
