"""The last layer of a localizer: from the maps of selected classes to boxes, classes, scores and maps."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cam.ops.boxes import boxes_from_maps
from keras_cam.ops.cuboids import cuboids_from_maps
from keras_cam.ops.gathering import gather_rows
from keras_cam.ops.windows import boxes_in_image
from keras_cam.recipes import LEAST_AREA, THRESHOLD, TIGHT_THRESHOLD

RULES = ("one_threshold", "tight_and_loose")

# For each of the five boxes of "tight_and_loose": the rank of its class, and whether it is tight.
_RANKS = (0, 0, 1, 1, 2)
_TIGHT = (True, False, True, False, False)


@keras.saving.register_keras_serializable("keras_cam")
class MapDetections(keras.layers.Layer):
    """Computes boxes from class activation maps, one row per box.

    A row whose map has no box keeps its class, score and map; its box is all zeros.

    Args:
        threshold: float in [0, 1), the fraction of a map's maximum that the values inside a box exceed; or
            several, whose boxes are averaged.
        max_boxes: int, the number of rows of each class: its largest components, if their area exceeds
            `keras_cam.recipes.LEAST_AREA` times that of the largest one.
        rule: "one_threshold" treats every class alike; "tight_and_loose" gives the paper's five boxes: a
            tight and a loose one for each of the first two classes and a loose one for the third.
        boxes_first: bool, whether rows with a box come before rows without one. Apart from this, rows are in
            the order of the classes.

    Input shape:
        maps (B, K, h, w), class_ids (B, K), probabilities (B, N), images (B, H, W, C), of which only the
        size is used: boxes are those of the maps resized to it. Optionally localization_maps (B, K, H', W'),
        such as those of `AffinityRefinement`: boxes are then computed from these. Optionally cut_maps
        (B, K, h', w') and windows (B, K, 4), see `SecondLookMaps`: boxes are then computed from cut_maps,
        which are maps of these windows.

        Of signals (B, L, C) and volumes (B, D, H, W, C), maps are (B, K, l) and (B, K, d, h, w).

    Output shape:
        A dict of `detection_boxes` (B, R, 4) as ymin, xmin, ymax, xmax in [0, 1], `detection_classes` (B, R)
        int32, `detection_scores` (B, R), `num_detections` (B,) int32 and `class_activation_maps`
        (B, R, h, w), with R = K * max_boxes, or 5 * max_boxes for "tight_and_loose"; and
        `localization_maps` (B, R, H', W') if they were given. Boxes of signals are intervals (B, R, 2), those
        of volumes cuboids (B, R, 6), see `keras_cam.build_localizer`.

    Reference:
        Zhou et al., CVPR 2016, section 3.2.

    Examples:
        >>> import numpy as np
        >>> maps = np.array([[[[-1.0, -2.0]], [[0.0, 5.0]]]])  # two classes, 1x2 positions
        >>> images = np.zeros((1, 32, 64, 3))
        >>> rows = MapDetections()(maps, np.array([[7, 3]]), np.full((1, 10), 0.1), images)
        >>> rows["detection_classes"].numpy().tolist(), int(rows["num_detections"][0])
        ([[3, 7]], 1)
    """

    def __init__(
        self,
        threshold: float | Sequence[float] = THRESHOLD,
        max_boxes: int = 1,
        rule: str = "one_threshold",
        boxes_first: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        thresholds = _thresholds(threshold)
        if isinstance(max_boxes, bool) or not isinstance(max_boxes, int) or max_boxes < 1:
            raise ValueError(
                f"`max_boxes` must be an integer of at least 1. Received: max_boxes={max_boxes!r}"
            )
        if rule not in RULES:
            raise ValueError(f"`rule` must be one of {RULES}. Received: rule={rule!r}")
        if len(thresholds) > 1 and (max_boxes > 1 or rule != "one_threshold"):
            raise ValueError(
                'Several thresholds need one box per class and rule="one_threshold". '
                f"Received: threshold={threshold}, max_boxes={max_boxes}, rule={rule!r}"
            )
        self.threshold = thresholds if len(thresholds) > 1 else thresholds[0]
        self.max_boxes = max_boxes
        self.rule = rule
        self.boxes_first = boxes_first

    def call(
        self,
        maps: Any,
        class_ids: Any,
        probabilities: Any,
        images: Any,
        localization_maps: Any = None,
        cut_maps: Any = None,
        windows: Any = None,
    ) -> dict[str, Any]:
        rows = {"class_activation_maps": maps, "detection_classes": ops.cast(class_ids, "int32")}
        if localization_maps is not None:
            rows["localization_maps"] = localization_maps
        thresholds: Any = self.threshold
        if self.rule == "tight_and_loose":
            taken = [row for row, rank in enumerate(_RANKS) if rank < maps.shape[1]]
            ranks = [_RANKS[row] for row in taken]
            rows = {name: ops.take(tensor, ranks, axis=1) for name, tensor in rows.items()}
            thresholds = [TIGHT_THRESHOLD if _TIGHT[row] else self.threshold for row in taken]
        cut = rows.get("localization_maps", rows["class_activation_maps"]) if cut_maps is None else cut_maps
        boxes, found = self._boxes(cut, thresholds, images)
        if windows is not None:
            boxes = ops.where(ops.expand_dims(found, -1), boxes_in_image(boxes, windows), 0.0)
        if self.max_boxes > 1:
            rows = {name: ops.repeat(tensor, self.max_boxes, axis=1) for name, tensor in rows.items()}
        rows["detection_boxes"] = boxes
        rows["detection_scores"] = gather_rows(probabilities, rows["detection_classes"])
        if self.boxes_first:
            # Distinct ranks make the sort stable: rows with a box, then the others, each in their old order.
            count = ops.shape(found)[1]
            rank = ops.arange(count, dtype="int32") + ops.where(found, 0, count)
            order = ops.argsort(rank, axis=-1)
            rows = {name: gather_rows(tensor, order) for name, tensor in rows.items()}
        return {**rows, "num_detections": ops.sum(ops.cast(found, "int32"), axis=1)}

    def _boxes(self, maps: Any, thresholds: Any, images: Any) -> tuple[Any, Any]:
        """Boxes (B, R, 2 * axes), and whether each row has one (B, R)."""
        batch, classes = ops.shape(maps)[:2]
        averaged = isinstance(self.threshold, list)
        if averaged:
            # One search for all thresholds.
            maps = ops.repeat(maps, len(thresholds), axis=1)
            thresholds = ops.tile(ops.convert_to_tensor(thresholds, "float32"), (classes,))
        boxes, found = _search(maps, thresholds, self.max_boxes, images)
        sides = boxes.shape[-1]
        if averaged:
            boxes = ops.mean(ops.reshape(boxes, (batch, classes, -1, sides)), axis=2)
            return boxes, ops.all(ops.reshape(found, (batch, classes, -1)), axis=2)
        rows = classes * self.max_boxes
        return ops.reshape(boxes, (-1, rows, sides)), ops.reshape(found, (-1, rows))

    def compute_output_spec(
        self,
        maps: Any,
        class_ids: Any,
        probabilities: Any,
        images: Any,
        localization_maps: Any = None,
        *parts: Any,
    ) -> dict[str, Any]:
        batch, classes, *grid = maps.shape
        if self.rule == "tight_and_loose":
            classes = sum(rank < classes for rank in _RANKS)
        rows = None if classes is None else classes * self.max_boxes
        spec = {
            "detection_boxes": keras.KerasTensor((batch, rows, 2 * len(grid))),
            "detection_classes": keras.KerasTensor((batch, rows), dtype="int32"),
            "detection_scores": keras.KerasTensor((batch, rows)),
            "num_detections": keras.KerasTensor((batch,), dtype="int32"),
            "class_activation_maps": keras.KerasTensor((batch, rows, *grid)),
        }
        if localization_maps is not None:
            spec["localization_maps"] = keras.KerasTensor((batch, rows, *localization_maps.shape[2:]))
        return spec

    def get_config(self) -> dict[str, Any]:
        config = {
            "threshold": self.threshold,
            "max_boxes": self.max_boxes,
            "rule": self.rule,
            "boxes_first": self.boxes_first,
        }
        return {**super().get_config(), **config}


def _thresholds(threshold: Any) -> list[float]:
    """One or several thresholds, checked."""
    given = list(threshold) if isinstance(threshold, list | tuple | np.ndarray) else [threshold]
    if not given or not all(isinstance(one, Real) and not isinstance(one, bool) for one in given):
        raise ValueError(
            f"`threshold` must be a number in [0, 1), or several. Received: threshold={threshold!r}"
        )
    if not all(0 <= one < 1 for one in given):
        raise ValueError(f"`threshold` must be in [0, 1). Received: threshold={threshold!r}")
    return [float(one) for one in given]


def _search(maps: Any, thresholds: Any, max_boxes: int, images: Any) -> tuple[Any, Any]:
    """The boxes of maps with one, two or three axes, and whether there are any."""
    size = ops.shape(images)
    if len(maps.shape) == 5:
        return cuboids_from_maps(maps, thresholds, max_boxes, LEAST_AREA)
    if len(maps.shape) == 4:
        return boxes_from_maps(maps, thresholds, max_boxes, size[1:3], LEAST_AREA)
    boxes, found = boxes_from_maps(maps[:, :, None], thresholds, max_boxes, (1, size[1]), LEAST_AREA)
    return boxes[..., 1::2], found
