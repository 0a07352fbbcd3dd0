"""MaxBoxAcc, MaxBoxAccV2 and PxAP as Keras metrics."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cam.metrics import choe2020
from keras_cam.metrics.mergeable import Mergeable
from keras_cam.metrics.numpy_function import numpy_function
from keras_cam.metrics.pointing_game import sizes_of
from keras_cam.metrics.true_class import map_of_true_class, truth_of_true_class


@keras.saving.register_keras_serializable("keras_cam")
class MaxBoxAcc(Mergeable):
    """The best localization accuracy over thresholds, of the box of the largest contour, at IoU 0.5.

    The threshold is chosen on the images that are judged: say so beside the figure. `figures()` has the
    accuracies at IoU 0.3, 0.5 and 0.7 with their thresholds.

    Args:
        map_size: (height, width) to which maps are resized, and for which boxes are scaled.
        name: str.
        dtype: of the result.

    Update with:
        y_true: the dict of `keras_cam.metrics.true_class`, boxes as ymin, xmin, ymax, xmax in [0, 1]. They
            become pixels of each image's size in `sizes_wh`, else of `map_size`, and then inclusive pixels of
            the resized map, see `choe2020.inclusive_boxes`. Or such inclusive boxes of the true class alone,
            (B, G, 4) integers, xyxy, padded with -1. An image without a box of its true class does not
            count.
        y_pred: the output of a localizer, of which the map counts from which it cuts boxes, the refined one
            if it refines; an image without a row of its true class is wrong. Or maps of the true class alone,
            (B, h, w) or (B, 1, h, w).

    Reference:
        Choe et al., CVPR 2020, section 3.3. The definition is in `keras_cam.metrics.choe2020`.

    Examples:
        >>> metric = MaxBoxAcc()
        >>> metric.update_state([[[74, 0, 149, 223], [-1, -1, -1, -1]]], [[[0.0, 1.0, 0.0]]])
        >>> float(metric.result())
        1.0
    """

    contours = "largest"

    def __init__(
        self,
        map_size: tuple[int, int] = choe2020.MAP_SIZE_HW,
        name: str | None = None,
        dtype: Any = "float64",
    ) -> None:
        super().__init__(name=name or _NAMES[self.contours], dtype=dtype)
        self.map_size = (int(map_size[0]), int(map_size[1]))
        shape = (len(choe2020.IOU_THRESHOLDS), len(choe2020.THRESHOLDS))
        self.hits = self.add_weight(name="hits", shape=shape, initializer="zeros", dtype="int64")
        self.images = self.add_weight(name="images", shape=(), initializer="zeros", dtype="int64")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the images of a batch. There are no weights."""
        _refuse_weights(sample_weight)
        maps, found = map_of_true_class(y_true, y_pred)
        boxes = truth_of_true_class(y_true)
        if isinstance(y_true, dict):
            inputs = [boxes, sizes_of(y_true, maps, self.map_size)]
            boxes = numpy_function(self._inclusive, inputs, (None, None, 4), "int64")
        has_box = ops.any(ops.all(boxes[..., 2:] >= 0, axis=-1), axis=1)
        boxes = ops.where(found[:, None, None], boxes, -1)  # without a box no threshold is right
        hits = numpy_function(self._count, [boxes, maps], self.hits.shape, "int64")
        self.add_hits(hits, ops.sum(ops.cast(has_box, "int64")))

    def add_hits(self, hits: Any, images: Any = 1) -> None:
        """Count images that were judged elsewhere, so that metrics can share one search for contours.

        Args:
            hits: integers or bool (3, 1000), at which IoU and threshold how many of the images are right, see
                `choe2020.box_hits`.
            images: how many images these are.

        Examples:
            >>> largest, every = MaxBoxAcc(), MaxBoxAccV2()
            >>> hits = choe2020.box_hits([[0.0, 1.0, 0.0]], [[74, 0, 149, 223]])
            >>> largest.add_hits(hits[0]), every.add_hits(hits[1])
            (None, None)
            >>> float(largest.result()), float(every.result())
            (1.0, 1.0)
        """
        self.hits.assign_add(ops.cast(hits, "int64"))
        self.images.assign_add(ops.cast(images, "int64"))

    def _inclusive(self, boxes_yxyx: np.ndarray, sizes_wh: np.ndarray) -> np.ndarray:
        """Inclusive boxes (B, G, 4) of the resized map, -1 where there is no box."""
        inclusive = np.full(boxes_yxyx.shape, -1, np.int64)
        for row, boxes, size_wh in zip(inclusive, boxes_yxyx, sizes_wh, strict=True):
            real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            pixels = boxes_in_pixels(boxes[real], size_wh)
            row[real] = choe2020.inclusive_boxes(pixels, size_wh[::-1], self.map_size)
        return inclusive

    def _count(self, boxes: np.ndarray, maps: np.ndarray) -> np.ndarray:
        return choe2020.count_box_hits(maps, boxes.astype(np.int64), self.map_size, (self.contours,))[0]

    def curves(self) -> np.ndarray:
        """Accuracy in [0, 1] at each IoU and each threshold: float64 (3, 1000)."""
        return ops.convert_to_numpy(self.hits) / max(int(self.images), 1)

    def figures(self) -> dict[str, object]:
        """Percentages and best thresholds; see `choe2020.box_figures`."""
        return choe2020.box_figures(ops.convert_to_numpy(self.hits), int(self.images))

    def result(self) -> Any:
        """The accuracy in [0, 1]; 0 without images."""
        return self._accuracies()[choe2020.IOU_THRESHOLDS.index(0.5)]

    def _accuracies(self) -> Any:
        images = ops.maximum(ops.cast(self.images, self.dtype), 1)
        return ops.cast(ops.max(self.hits, axis=1), self.dtype) / images

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "map_size": self.map_size}


@keras.saving.register_keras_serializable("keras_cam")
class MaxBoxAccV2(MaxBoxAcc):
    """The best localization accuracy over thresholds, of any contour's box, mean over IoU 0.3, 0.5 and 0.7.

    Each IoU has its own best threshold. Arguments and inputs are those of `MaxBoxAcc`.

    Reference:
        Choe et al., "Evaluation for Weakly Supervised Object Localization: Protocol, Metrics, and Datasets",
        TPAMI 2022, section 4.

    Examples:
        >>> metric = MaxBoxAccV2()
        >>> metric.update_state([[[74, 0, 149, 223]]], [[[0.0, 1.0, 0.0]]])
        >>> metric.figures()["best_threshold"]["70"] > 0
        True
    """

    contours = "all"

    def result(self) -> Any:
        """The mean accuracy in [0, 1]; 0 without images."""
        return ops.mean(self._accuracies())


@keras.saving.register_keras_serializable("keras_cam")
class PxAP(Mergeable):
    """Pixel average precision: the area under the precision-recall curve of all pixels of all images.

    Args:
        map_size: (height, width) to which maps are resized; that of the masks.
        name: str.
        dtype: of the result.

    Update with:
        y_true: (B, height, width) integers: 1 on the object, 0 beside it, 255 to be ignored; or a dict of
            them as `masks` and of `labels` (B,), the class of each image.
        y_pred: the output of a localizer, of which the map counts from which it cuts boxes, the refined one
            if it refines; without a row of the true class all pixels score 0. Or maps of the true class
            alone, (B, h, w) or (B, 1, h, w).

    Reference:
        Choe et al., CVPR 2020, section 3.3.

    Examples:
        >>> metric = PxAP(map_size=(1, 3))
        >>> metric.update_state([[[0, 1, 255]]], [[[-1.0, 2.0, 1.0]]])
        >>> float(metric.result())
        1.0
    """

    def __init__(
        self,
        map_size: tuple[int, int] = choe2020.MAP_SIZE_HW,
        name: str = "px_ap",
        dtype: Any = "float64",
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.map_size = (int(map_size[0]), int(map_size[1]))
        shape = (2, len(choe2020.THRESHOLDS) + 2)
        # Pixels of all images do not fit into 32 bits.
        self.histograms = self.add_weight(name="histograms", shape=shape, initializer="zeros", dtype="int64")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the pixels of a batch. There are no weights."""
        _refuse_weights(sample_weight)
        maps, _ = map_of_true_class(y_true, y_pred)
        inputs = [y_true["masks"] if isinstance(y_true, dict) else y_true, maps]
        self.histograms.assign_add(numpy_function(self._count, inputs, self.histograms.shape, "int64"))

    def _count(self, masks: np.ndarray, maps: np.ndarray) -> np.ndarray:
        pairs = zip(maps, masks, strict=True)
        return np.sum([choe2020.score_histograms(*pair, self.map_size) for pair in pairs], axis=0)

    def result(self) -> Any:
        """The area in [0, 1]; 0 without a pixel on an object."""
        return numpy_function(_area, [ops.convert_to_tensor(self.histograms)], (), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "map_size": self.map_size}


_NAMES = {"largest": "max_box_acc", "all": "max_box_acc_v2"}


def boxes_in_pixels(boxes_yxyx: np.ndarray, size_wh: Sequence[int]) -> np.ndarray:
    """Boxes of an image in pixels.

    What is a whole pixel but for float32's rounding becomes one again, because the protocol truncates.

    Args:
        boxes_yxyx: (G, 4) as ymin, xmin, ymax, xmax in [0, 1].
        size_wh: width and height of the image in pixels.

    Returns:
        float64 (G, 4), xyxy in pixels with half-open maxima.

    Examples:
        >>> boxes_in_pixels(np.array([[0.1, 0.2, 0.3, 0.7]], "float32"), (10, 100)).tolist()
        [[2.0, 10.0, 7.0, 30.0]]
    """
    pixels = boxes_yxyx[:, [1, 0, 3, 2]].astype(np.float64) * np.tile(size_wh, 2)
    whole = np.rint(pixels)
    return np.where(np.abs(pixels - whole) < 1e-3, whole, pixels)


def _area(histograms: np.ndarray) -> np.ndarray:
    return np.array(choe2020.pixel_average_precision(histograms) / 100 if histograms[0].any() else 0.0)


def _refuse_weights(sample_weight: Any) -> None:
    if sample_weight is not None:
        raise ValueError(f"Images have no weights here. Received: sample_weight={sample_weight!r}")
