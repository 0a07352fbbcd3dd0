"""The protocol "choe2020": MaxBoxAcc, MaxBoxAccV2 and PxAP of class-agnostic score maps, in NumPy.

The map of the image's true class is resized bicubically to 224x224 pixels, scaled to [0, 1] by its minimum
and maximum, and judged at 1,000 thresholds. The best threshold is chosen on the images that are judged. It is
an oracle: the figures tell how good the boxes of a map could be if the best threshold were known.

Boxes are xyxy in inclusive pixels, in this protocol only.

Reference:
    Choe, Oh, Lee, Chun, Akata, Shim, "Evaluating Weakly Supervised Object Localization Methods Right",
    CVPR 2020, section 3.3, and its journal version (MaxBoxAccV2); the released code decides the details.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_cam.metrics.box_curve import BoxCurve

THRESHOLDS = np.arange(0, 1, 0.001)
IOU_THRESHOLDS = (0.3, 0.5, 0.7)
MAP_SIZE_HW = (224, 224)

# Bins of the score histogram: one for each threshold, one for the score 1, and one that stays empty.
_EDGES = np.append(THRESHOLDS, [1.0, 2.0, 3.0])


def score_map(activation_map: ArrayLike, size_hw: tuple[int, int] = MAP_SIZE_HW) -> NDArray[np.float64]:
    """Resize a map bicubically and scale it to [0, 1].

    Args:
        activation_map: (h, w), raw.
        size_hw: (height, width) of the result.

    Returns:
        float64 (height, width); zeros if the resized map is constant or has a NaN. Resizing leaves rounding
        errors in some constant maps, and these are then scaled to [0, 1], as in the reference.

    Examples:
        >>> score_map([[-1.0, 3.0]], size_hw=(1, 2)).tolist()
        [[0.0, 1.0]]
    """
    height, width = size_hw
    source = np.asarray(activation_map, "float64")
    if source.ndim != 2 or source.size == 0:
        raise ValueError(f"`activation_map` must be (h, w). Received: shape {source.shape}")
    resized = cv2.resize(source, (width, height), interpolation=cv2.INTER_CUBIC)
    if np.isnan(resized).any() or resized.min() == resized.max():
        return np.zeros((height, width))
    from_zero = np.asarray(resized - resized.min(), "float64")
    return from_zero / from_zero.max()


def inclusive_boxes(
    boxes_xyxy: ArrayLike, image_size_hw: tuple[int, int], size_hw: tuple[int, int] = MAP_SIZE_HW
) -> NDArray[np.int64]:
    """Boxes of an image in the inclusive pixels of the score map.

    Args:
        boxes_xyxy: (G, 4) in pixels of the image, with half-open maxima.
        image_size_hw: (height, width) of the image.
        size_hw: (height, width) of the score map.

    Returns:
        int64 (G, 4) inclusive xyxy. The first and the last pixel of a side are scaled and truncated alike.

    Examples:
        >>> inclusive_boxes([[1, 2, 5, 4]], image_size_hw=(20, 10), size_hw=(10, 35)).tolist()
        [[3, 1, 14, 1]]
    """
    boxes = np.asarray(boxes_xyxy, "float64").reshape(-1, 4) - [0, 0, 1, 1]
    size, image_size = (np.array([*pair, *pair], "float64")[::-1] for pair in (size_hw, image_size_hw))
    return (boxes * size / image_size).astype(np.int64)


def box_hits(
    activation_map: ArrayLike,
    boxes_inclusive: ArrayLike,
    size_hw: tuple[int, int] = MAP_SIZE_HW,
    contours: Sequence[str] = ("largest", "all"),
) -> NDArray[np.bool_]:
    """Whether a map is right, for each kind of contours, each IoU and each threshold.

    Args:
        activation_map: (h, w), raw, any size.
        boxes_inclusive: (G, 4) integers, inclusive xyxy in pixels of the score map; rows with a negative
            maximum are padding. Without any box, no threshold is right.
        size_hw: (height, width) of the score map.
        contours: "largest", the box of the largest contour has to be right (MaxBoxAcc); "all", the box of
            any contour has to be (MaxBoxAccV2).

    Returns:
        bool (len(contours), 3, 1000), over `IOU_THRESHOLDS` and `THRESHOLDS`.

    Raises:
        ValueError: a box begins before the image or ends before it begins.

    Examples:
        >>> hits = box_hits([[0.0, 1.0, 0.0]], [[74, 0, 149, 223]])
        >>> hits[0].any(axis=1).tolist()
        [True, True, True]
    """
    boxes = np.asarray(boxes_inclusive).reshape(-1, 4)
    boxes = boxes[(boxes[:, 2:] >= 0).all(axis=1)]
    if (boxes[:, :2] < 0).any() or (boxes[:, 2:] < boxes[:, :2]).any():
        raise ValueError(
            "`boxes_inclusive` must be 0 <= x0 <= x1, 0 <= y0 <= y1, or padding with negative maxima. "
            f"Received: {boxes.tolist()}"
        )
    curve = BoxCurve(score_map(activation_map, size_hw))
    wanted = np.array(IOU_THRESHOLDS)[:, None]
    judges = {
        "largest": lambda: curve.largest_hits(THRESHOLDS, boxes, IOU_THRESHOLDS),
        "all": lambda: curve.best_ious(THRESHOLDS, boxes) >= wanted,
    }
    return np.stack([judges[kind]() for kind in contours])


def count_box_hits(
    maps: Iterable[ArrayLike],
    boxes_inclusive: Iterable[ArrayLike],
    size_hw: tuple[int, int] = MAP_SIZE_HW,
    contours: Sequence[str] = ("largest", "all"),
    workers: int = 1,
) -> NDArray[np.int64]:
    """Sum of `box_hits` over images: int64 (len(contours), 3, 1000).

    Args:
        maps: for each image (h, w), raw.
        boxes_inclusive: for each image (G, 4), see `box_hits`.
        size_hw: (height, width) of the score maps.
        contours: see `box_hits`.
        workers: int, how many processes share the images. Each takes some seconds to start. A script that
            asks for more than one must be guarded by `if __name__ == "__main__"`.

    Examples:
        >>> count_box_hits([[[0.0, 1.0, 0.0]]] * 2, [[[74, 0, 149, 223]]] * 2).shape
        (2, 3, 1000)
    """
    total = np.zeros((len(contours), len(IOU_THRESHOLDS), len(THRESHOLDS)), np.int64)
    judge = partial(box_hits, size_hw=size_hw, contours=contours)
    if workers == 1:
        for hits in map(judge, maps, boxes_inclusive):
            total += hits
        return total
    # A process that has run TensorFlow must not be forked.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for hits in pool.map(judge, maps, boxes_inclusive, chunksize=16):
            total += hits
    return total


def box_figures(hits: ArrayLike, images: int) -> dict[str, object]:
    """The figures of one kind of contours, in percent as the reference prints them.

    Args:
        hits: (3, 1000), how many images are right, over `IOU_THRESHOLDS` and `THRESHOLDS`.
        images: the number of all images.

    Returns:
        `at_30`, `at_50`, `at_70`: the best accuracy over thresholds at each IoU; `mean` of the three;
        `best_threshold`: a dict from "30", "50", "70" to the best threshold, of several the lowest.

    Examples:
        >>> import numpy as np
        >>> hits = np.zeros((3, 1000), int)
        >>> hits[:, 200] = 3, 2, 1
        >>> box_figures(hits, 4)["mean"], box_figures(hits, 4)["best_threshold"]["50"]
        (50.0, 0.2)
    """
    if images < 1:
        raise ValueError(f"`images` must be at least 1. Received: images={images}")
    hits = np.asarray(hits)
    names = [str(round(100 * threshold)) for threshold in IOU_THRESHOLDS]
    accuracies = hits.max(axis=1) * 100.0 / images
    best = THRESHOLDS[hits.argmax(axis=1)]
    return {
        **{f"at_{name}": float(accuracy) for name, accuracy in zip(names, accuracies, strict=True)},
        "mean": float(accuracies.mean()),
        "best_threshold": dict(zip(names, best.tolist(), strict=True)),
    }


def score_histograms(
    activation_map: ArrayLike, mask: ArrayLike, size_hw: tuple[int, int] = MAP_SIZE_HW
) -> NDArray[np.int64]:
    """Histograms of a map's scores on the object and beside it.

    Args:
        activation_map: (h, w), raw, any size.
        mask: integers of the size of the score map: 1 on the object, 0 beside it. Pixels with other values,
            by convention 255, are ignored.
        size_hw: (height, width) of the score map.

    Returns:
        int64 (2, 1002): pixels on the object and beside it, over bins between `THRESHOLDS`.

    Examples:
        >>> score_histograms([[0.0, 1.0]], [[0, 1]], size_hw=(1, 2))[:, [0, 1000]].tolist()
        [[0, 1], [1, 0]]
    """
    mask = np.asarray(mask)
    if mask.shape != tuple(size_hw):
        raise ValueError(f"`mask` must have the shape {tuple(size_hw)}. Received: shape {mask.shape}")
    scores = score_map(activation_map, size_hw)
    return np.stack([np.histogram(scores[mask == kind], _EDGES)[0] for kind in (1, 0)])


def pixel_average_precision(histograms: ArrayLike) -> float:
    """PxAP: the area under the precision-recall curve of pixels, in percent.

    Args:
        histograms: (2, 1002), the sum of `score_histograms` over images.

    Returns:
        float in [0, 100].

    Raises:
        ValueError: no mask has a pixel on an object.

    Examples:
        >>> import numpy as np
        >>> histograms = np.zeros((2, 1002), int)
        >>> histograms[0, 1000], histograms[1, 0] = 10, 30  # all of the object scores 1, all else 0
        >>> pixel_average_precision(histograms)
        100.0
    """
    on_object, beside = np.asarray(histograms, "float64")
    if on_object.sum() <= 0:
        raise ValueError("No mask has a pixel on an object. Received: histograms whose first row is zero")
    # From the highest score down: what is above each threshold.
    true_positives = on_object[::-1].cumsum()
    positives = true_positives + beside[::-1].cumsum()
    precision = np.divide(true_positives, positives, out=np.zeros_like(positives), where=positives > 0)
    recall = true_positives / on_object.sum()
    area = (precision[1:] * np.diff(recall))[positives[1:] > 0].sum()
    return float(area * 100)
