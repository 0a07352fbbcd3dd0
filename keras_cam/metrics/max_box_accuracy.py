"""MaxBoxAcc, MaxBoxAccV2 and PxAP as Keras metrics."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cam.metrics import choe2020
from keras_cam.metrics.mergeable import Mergeable
from keras_cam.metrics.numpy_function import numpy_function
from keras_cam.metrics.pointing_game import one_map_an_image


@keras.saving.register_keras_serializable("keras_cam")
class MaxBoxAcc(Mergeable):
    """The best localization accuracy over thresholds, of the box of the largest contour, at IoU 0.5.

    The threshold is chosen on the images that are judged: say so beside the figure. `figures()` has the
    accuracies at IoU 0.3, 0.5 and 0.7 with their thresholds.

    Args:
        map_size: (height, width) to which maps are resized.
        name: str.
        dtype: of the result.

    Update with:
        y_true: (B, G, 4) integers, xyxy in *inclusive* pixels of the resized map, padded with -1. See
            `choe2020.inclusive_boxes`.
        y_pred: (B, h, w) or (B, 1, h, w), raw maps of the true classes.

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
        maps = one_map_an_image(y_pred)
        self.hits.assign_add(numpy_function(self._count, [y_true, maps], self.hits.shape, "int64"))
        self.images.assign_add(ops.cast(ops.shape(maps)[0], "int64"))

    def _count(self, boxes: np.ndarray, maps: np.ndarray) -> np.ndarray:
        return choe2020.count_box_hits(maps, boxes, self.map_size, (self.contours,))[0]

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
        y_true: (B, height, width) integers: 1 on the object, 0 beside it, 255 to be ignored.
        y_pred: (B, h, w) or (B, 1, h, w), raw maps of the true classes.

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
        inputs = [y_true, one_map_an_image(y_pred)]
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


def _area(histograms: np.ndarray) -> np.ndarray:
    return np.array(choe2020.pixel_average_precision(histograms) / 100 if histograms[0].any() else 0.0)


def _refuse_weights(sample_weight: Any) -> None:
    if sample_weight is not None:
        raise ValueError(f"Images have no weights here. Received: sample_weight={sample_weight!r}")
