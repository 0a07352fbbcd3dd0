"""The boxes of a score map at all thresholds of the choe2020 protocol, found in one pass."""

from functools import cached_property

import cv2
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from keras_cam.metrics.level_components import FINE, LevelComponents, level_components

_WHITE = 255


class BoxCurve:
    """The boxes of OpenCV's contours of a score map at all thresholds, found in one pass.

    The protocol turns the score map into uint8 and searches the contours of the pixels strictly above
    `int(threshold * maximum)`, including the border lines of holes. This class takes the boxes of all
    components and of all holes from two component trees. Bounds of their areas mostly tell which contour is
    the largest. OpenCV searches only at the levels where they do not.

    Boxes are xyxy like those of the reference: its pixels are inclusive, but a box ends one pixel behind its
    last pixel, unless that is the last one of the image.

    Args:
        score_map: float (H, W) with values in [0, 1].

    Raises:
        ValueError: the map is not two-dimensional, or a value is NaN or outside [0, 1].

    Reference:
        Choe et al., CVPR 2020, "Evaluating Weakly Supervised Object Localization Methods Right", section 3.3,
        and its released code.

    Examples:
        >>> import numpy as np
        >>> score_map = np.zeros((6, 8))
        >>> score_map[1:5, 1:4] = 1.0
        >>> score_map[2, 6] = 0.5
        >>> curve = BoxCurve(score_map)
        >>> curve.largest_boxes([0.2, 0.8]).tolist()
        [[1, 1, 4, 5], [1, 1, 4, 5]]
        >>> curve.best_ious([0.2, 0.8], [[6, 2, 7, 3]]).tolist()  # there is no second contour at 0.8
        [1.0, 0.0]
    """

    def __init__(self, score_map: ArrayLike) -> None:
        scores = np.asarray(score_map, "float64")
        if scores.ndim != 2 or scores.size == 0:
            raise ValueError(f"`score_map` must be (H, W). Received: shape {scores.shape}")
        if not (scores.min() >= 0 and scores.max() <= 1):
            raise ValueError(
                "`score_map` must have values in [0, 1], none of them NaN. "
                f"Received: minimum {scores.min()}, maximum {scores.max()}"
            )
        # Truncated like the reference's uint8, with more bits kept below.
        keys = (scores * (_WHITE << FINE)).astype(np.int32)
        image = (keys >> FINE).astype(np.uint8)
        self._maximum = int(image.max())
        present = cv2.calcHist([image], [0], None, [_WHITE + 1], [0, _WHITE + 1]).ravel() > 0
        present[0] = True
        # Only grey levels that some pixel has need boxes; in the rounding errors of a constant map there are
        # five. They are numbered, and from here on "level" means such a number.
        self._number_of = present.cumsum() - 1
        self._count = int(self._number_of[-1])  # without the highest, above which there is no pixel
        self._levels = np.asarray(cv2.LUT(image, self._number_of.astype(np.uint8)), np.uint8)
        keys &= (1 << FINE) - 1
        keys += self._levels.astype(np.int32) << FINE
        self._keys = keys

    def largest_boxes(self, thresholds: ArrayLike) -> NDArray[np.int64]:
        """The box of the largest contour at each threshold, int64 (T, 4); zeros if there is none."""
        if self._maximum == 0:
            return np.zeros((len(np.asarray(thresholds)), 4), np.int64)
        needed = self._level_of(thresholds)
        boxes, open_levels, _ = self._largest
        for level in np.intersect1d(open_levels, needed).tolist():
            boxes[level] = self._asked(level)
        return boxes[needed]

    def largest_hits(
        self, thresholds: ArrayLike, boxes: ArrayLike, iou_thresholds: ArrayLike
    ) -> NDArray[np.bool_]:
        """Whether the box of the largest contour reaches each IoU with one of `boxes`: bool (I, T).

        OpenCV searches only at the levels where the answer depends on which contour is the largest.
        """
        wanted = np.asarray(iou_thresholds, "float64")[:, None]
        if self._maximum == 0:
            return _best(self.largest_boxes(thresholds), boxes) >= wanted
        needed = self._level_of(thresholds)
        found, level, candidates = self._largest
        hits = _best(found, boxes) >= wanted
        differs = (hits[:, level] != (_best(candidates, boxes) >= wanted)).any(axis=0)
        doubtful = np.intersect1d(level[differs], needed).tolist()
        if doubtful:
            asked = np.concatenate([self._asked(level) for level in doubtful])
            hits[:, doubtful] = _best(asked, boxes) >= wanted
        return hits[:, needed]

    def best_ious(self, thresholds: ArrayLike, boxes: ArrayLike) -> NDArray[np.float64]:
        """The best IoU of any contour's box with any of `boxes` at each threshold: float64 (T,)."""
        if self._maximum == 0:
            return _best(self.largest_boxes(thresholds), boxes)
        level, contours = self._all
        best = np.zeros(self._count)
        np.maximum.at(best, level, _best(contours, boxes))
        return best[self._level_of(thresholds)]

    def _level_of(self, thresholds: ArrayLike) -> NDArray[np.int64]:
        thresholds = np.asarray(thresholds, "float64")
        if thresholds.ndim != 1 or not ((thresholds >= 0) & (thresholds < 1)).all():
            raise ValueError(f"`thresholds` must be (T,) with values in [0, 1). Received: {thresholds}")
        return self._number_of[(thresholds * self._maximum).astype(np.int64)]

    def _asked(self, level: int) -> NDArray[np.int64]:
        """The box (1, 4) of the largest contour at a level, by a search."""
        return contour_boxes(self._levels, level, largest_only=True)

    @cached_property
    def _components(self) -> LevelComponents:
        """Those of the pixels above each level."""
        return level_components(self._keys)

    @cached_property
    def _holes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The level and the box of every line around a hole: int64 (N,) and (N, 4)."""
        # The map upside down, inside a frame that is higher than everything. Components that are not
        # connected to the frame are holes. The line around a hole runs over the pixels beside it, and the
        # frame has shifted all pixels by one.
        frame = self._count + 1
        height, width = self._keys.shape
        keys = np.full((height + 2, width + 2), frame << FINE, np.int32)
        np.subtract((frame << FINE) - 1, self._keys, out=keys[1:-1, 1:-1])
        holes = level_components(keys, connectivity=4)
        hole, depth = holes.at_levels()
        inside = holes.end[hole] < frame
        hole, depth = hole[inside], depth[inside]
        return frame - 2 - depth, self._boxes(holes.bounds[hole, depth] - np.array([2, 2, 0, 0], np.int16))

    @cached_property
    def _largest(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The box of the component that seems largest at each level, and the boxes of its rivals.

        The border line of a hole is never the largest contour: it is not larger than the contour around it,
        and stands behind that in OpenCV's list. So only components matter. At a level without holes their
        areas are known; at others an area is between that of the component's pixels and that of its box.
        Each other component that may be as large or larger is a row of the levels (N,) and boxes (N, 4).
        """
        has_holes = np.zeros(self._count, bool)
        has_holes[self._holes[0]] = True
        largest, component, level = _candidates(*self._components, has_holes)
        bounds = self._components.bounds
        found = self._boxes(bounds[largest, np.arange(self._count)])
        return found, level, self._boxes(bounds[component, level])

    @cached_property
    def _all(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The level and the box of every contour: int64 (N,) and (N, 4)."""
        component, level = self._components.at_levels()
        boxes = self._boxes(self._components.bounds[component, level])
        hole_level, hole_boxes = self._holes
        return np.append(level, hole_level), np.concatenate([boxes, hole_boxes])

    def _boxes(self, bounds: NDArray[np.integer]) -> NDArray[np.int64]:
        boxes = bounds.astype(np.int64)
        last = np.array(self._levels.shape[::-1]) - 1
        boxes[:, 2:] = np.minimum(1 - boxes[:, 2:], last)
        return boxes


@njit(cache=True)
def _candidates(first, end, bounds, doubled_areas, has_holes):  # type: ignore[no-untyped-def]
    """The component that seems largest at each level (T,); its rivals (N,), and their levels (N,)."""
    components, levels = doubled_areas.shape
    largest, least = np.zeros(levels, np.int64), np.full(levels, -1)
    for component in range(components):
        for level in range(first[component], end[component]):
            if doubled_areas[component, level] > least[level]:
                largest[level], least[level] = component, doubled_areas[component, level]
    others, at = [], []
    for component in range(components):
        for level in range(first[component], end[component]):
            most = doubled_areas[component, level]
            if has_holes[level]:
                left, top, right, bottom = bounds[component, level]
                most = 2 * (left + right) * (top + bottom)
            if most >= least[level] and component != largest[level]:
                others.append(component)
                at.append(level)
    return largest, np.array(others, np.int64), np.array(at, np.int64)


def contour_boxes(image: NDArray[np.uint8], level: int, largest_only: bool = False) -> NDArray[np.int64]:
    """Boxes of the contours of the pixels strictly above a level, as the protocol defines them.

    Args:
        image: uint8 (H, W).
        level: int, the highest value that is not above the level.
        largest_only: whether to return only the contour with the largest area, of equal ones OpenCV's first.

    Returns:
        int64 (N, 4) xyxy, at least one row: zeros if there is no contour.

    Examples:
        >>> import numpy as np
        >>> contour_boxes(np.array([[0, 9, 9], [0, 9, 0], [0, 0, 0]], "uint8"), level=8).tolist()
        [[1, 0, 2, 2]]
    """
    _, mask = cv2.threshold(image, level, _WHITE, cv2.THRESH_BINARY)
    contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
    if len(contours) == 0:
        return np.zeros((1, 4), np.int64)
    if largest_only:
        contours = [max(contours, key=cv2.contourArea)]
    boxes = np.array([cv2.boundingRect(contour) for contour in contours], np.int64)
    height, width = image.shape
    boxes[:, 2:] = np.minimum(boxes[:, :2] + boxes[:, 2:], [width - 1, height - 1])
    return boxes


def _best(boxes: NDArray[np.int64], others: ArrayLike) -> NDArray[np.float64]:
    """The IoU of each box with the best of the others."""
    return inclusive_ious(boxes, others).max(axis=1, initial=0.0)


def inclusive_ious(boxes_a: ArrayLike, boxes_b: ArrayLike) -> NDArray[np.float64]:
    """IoU of each box of one list with each of another, xyxy in inclusive pixels.

    The length of a side is `maximum - minimum + 1`.

    Args:
        boxes_a: (N, 4).
        boxes_b: (M, 4).

    Returns:
        float64 (N, M).

    Examples:
        >>> inclusive_ious([[1, 2, 5, 6]], [[3, 1, 4, 5]]).tolist()  # 2 * 4 of 25 + 10 - 8 pixels
        [[0.2962962962962963]]
    """
    x0, y0, x1, y1 = np.asarray(boxes_a).reshape(-1, 4, 1).transpose(1, 0, 2)
    left, top, right, bottom = np.asarray(boxes_b).reshape(-1, 4).T
    width = np.minimum(x1, right) - np.maximum(x0, left) + 1
    height = np.minimum(y1, bottom) - np.maximum(y0, top) + 1
    common = np.maximum(width, 0) * np.maximum(height, 0)
    sizes = (x1 - x0 + 1) * (y1 - y0 + 1) + (right - left + 1) * (bottom - top + 1)
    return common / (sizes - common)
