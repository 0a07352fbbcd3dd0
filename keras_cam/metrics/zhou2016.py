"""The paper's boxes: by its text, by its test-set heuristic, and by its released code.

NumPy and OpenCV, on the pixels of the upsampled map. A localizer finds the boxes of the first two in its own
forward pass; these functions are the reference for it.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from keras_cam.recipes import THRESHOLD, TIGHT_THRESHOLD

# Of 255.
RELEASED_THRESHOLDS = (20, 100, 110)

# The pixels that the released program leaves free at the right and the lower border; and how far from the
# background a pixel has to be, in 255ths of the largest distance.
_MARGIN = 5
_DISTANCE = 10


def zhou2016(
    activation_map: ArrayLike, image_size_hw: tuple[int, int], threshold: float = THRESHOLD
) -> NDArray[np.int64]:
    """The box that covers the largest connected region above a part of the map's maximum.

    The map is resized bilinearly to the image. A region consists of pixels strictly above
    `threshold * maximum`; neighbours at corners are connected. The largest region has the most pixels, of
    equal ones the first in the order of rows.

    Args:
        activation_map: (h, w), raw.
        image_size_hw: (height, width) in pixels.
        threshold: float in [0, 1).

    Returns:
        int64 (1, 4) xyxy in pixels with half-open maxima; (0, 4) if the map is constant or nowhere positive.

    Raises:
        ValueError: an argument is out of range.

    Reference:
        Zhou et al., CVPR 2016, section 3.2.

    Examples:
        >>> zhou2016([[0.0, 0.0], [0.0, 5.0]], image_size_hw=(40, 60)).tolist()
        [[21, 14, 60, 40]]
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"`threshold` must be in [0, 1). Received: threshold={threshold}")
    resized = _resized(activation_map, image_size_hw)
    highest = resized.max()
    # A constant map stays constant up to rounding.
    if not highest > 0 or highest - resized.min() <= 1e-6 * highest:
        return np.zeros((0, 4), np.int64)
    mask = (resized > threshold * highest).astype(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, width, height, _ = statistics[1 + statistics[1:, cv2.CC_STAT_AREA].argmax()]
    return np.array([[left, top, left + width, top + height]], np.int64)


def zhou2016_test(
    activation_maps: Sequence[ArrayLike], image_size_hw: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The five boxes of the test-set result: tight and loose for two classes, loose for a third.

    The paper does not name the threshold of the tight boxes; its released code takes 100 of 255. Loose boxes
    are those of `zhou2016`. A localizer with `rule="tight_and_loose"` gives the same rows.

    Args:
        activation_maps: the maps (h, w) of the best classes, best first; only three are used.
        image_size_hw: (height, width) in pixels.

    Returns:
        `(ranks, boxes_xyxy)`: int64 (R,), the map of each box, and int64 (R, 4) in pixels with half-open
        maxima. R is 5, or less if a map has no box.

    Reference:
        Zhou et al., CVPR 2016, section 3.2: "two bounding boxes (one tight and one loose)".

    Examples:
        >>> ranks, boxes_xyxy = zhou2016_test([[[0.0, 1.0]], [[1.0, 0.0]], [[1.0, 1.0]]], (40, 60))
        >>> ranks.tolist()  # the third map is constant
        [0, 0, 1, 1]
        >>> boxes_xyxy.tolist()
        [[27, 0, 60, 40], [21, 0, 60, 40], [0, 0, 33, 40], [0, 0, 39, 40]]
    """
    rows = [(0, TIGHT_THRESHOLD), (0, THRESHOLD), (1, TIGHT_THRESHOLD), (1, THRESHOLD), (2, THRESHOLD)]
    rows = [row for row in rows if row[0] < len(activation_maps)]
    found = [zhou2016(activation_maps[rank], image_size_hw, threshold) for rank, threshold in rows]
    ranks = [rank for (rank, _), boxes in zip(rows, found, strict=True) for _ in boxes]
    return np.array(ranks, np.int64), np.concatenate([np.zeros((0, 4), np.int64), *found])


def heat_map(activation_map: ArrayLike, image_size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A map as the grey image that the released program reads: uint8, of the image's size.

    The values are divided by their maximum and scaled to 255; negative ones become 0. The authors also
    average the maps of ten crops, resize bicubically, and write and read a JPEG file. This function does not.

    Examples:
        >>> heat_map([[-3.0, 2.0]], image_size_hw=(1, 2)).tolist()
        [[0, 255]]
    """
    resized = _resized(activation_map, image_size_hw)
    highest = resized.max()
    if not highest > 0:
        return np.zeros(image_size_hw, np.uint8)
    return np.rint(np.clip(resized / highest, 0, 1) * 255).astype(np.uint8)


def zhou2016_released(
    image: NDArray[np.uint8], thresholds: tuple[int, int, int] = RELEASED_THRESHOLDS
) -> NDArray[np.int64]:
    """All boxes of the program that the authors released, largest first.

    For each of three thresholds, the program

    1. takes the pixels strictly above the threshold;
    2. keeps those whose Euclidean distance to the other pixels, in 255ths of the largest distance and
       rounded, is above 10, which removes thin parts;
    3. takes the boxes of all border lines, including those around holes, and ends them at least 5 pixels
       before the right and the lower border.

    Then it sorts the boxes of all thresholds by area. Each box removes the smaller ones that share more
    than half of its area. After a removal the program skips the next box, and so does this function.

    The authors evaluate the first box as their loose result and the second one as the tight result.

    The steps were read from the program, and the boxes of the sample that comes with it are reproduced
    exactly. The version of OpenCV that it was built with is not known. Versions before 3.2 ignore the
    outermost pixels, so boxes at the border may differ by one pixel. The order of boxes of equal area depends
    on the C++ library; here the box that is found first comes first.

    Args:
        image: uint8 (H, W), a heat map of the image's size. See `heat_map`.
        thresholds: three ascending integers between 0 and 255, both excluded.

    Returns:
        int64 (N, 4) xyxy in pixels with half-open maxima.

    Raises:
        ValueError: `image` has another dtype or shape, or the thresholds are not ascending.

    Reference:
        The code released with Zhou et al., CVPR 2016: github.com/zhoubolei/CAM, folder `bboxgenerator`.

    Examples:
        >>> import numpy as np
        >>> image = np.zeros((60, 80), "uint8")
        >>> image[10:40, 20:60] = 200
        >>> zhou2016_released(image).tolist()  # of three equal ones, the third was skipped
        [[20, 10, 60, 40], [20, 10, 60, 40]]
    """
    image = np.asarray(image)
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(f"`image` must be uint8 (H, W). Received: {image.dtype} {image.shape}")
    if len(thresholds) != 3 or not 0 < thresholds[0] < thresholds[1] < thresholds[2] < 255:
        raise ValueError(f"`thresholds` must be 0 < t0 < t1 < t2 < 255. Received: {thresholds}")
    boxes_xywh = [box for threshold in thresholds for box in _border_boxes(image, threshold)]
    boxes_xywh.sort(key=lambda box: -box[2] * box[3])
    position = 0
    while position < len(boxes_xywh):
        other = position + 1
        while other < len(boxes_xywh):
            if _share_more_than_half(boxes_xywh[position], boxes_xywh[other]):
                del boxes_xywh[other]
            other += 1
        position += 1
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes_xywh], np.int64).reshape(-1, 2, 2)
    # At the border the third step can swap the corners of a box; the authors' evaluation swaps them back.
    return np.sort(corners, axis=1).reshape(-1, 4)


def _border_boxes(image: NDArray[np.uint8], threshold: int) -> list[tuple[int, int, int, int]]:
    mask = image > threshold
    if mask.any() and not mask.all():
        distances = ndimage.distance_transform_edt(mask)
        mask = np.floor(distances * (255 / distances.max()) + 0.5) > _DISTANCE
    contours = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[-2]
    height, width = image.shape
    boxes = []
    for x, y, w, h in map(cv2.boundingRect, contours):
        w, h = min(w, width - x - _MARGIN), min(h, height - y - _MARGIN)
        boxes.append((min(x, width - _MARGIN), min(y, height - _MARGIN), w, h))
    return boxes


def _share_more_than_half(box: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    common = 1
    for axis in (0, 1):
        end = min(box[axis] + box[axis + 2], other[axis] + other[axis + 2])
        common *= max(0, end - max(box[axis], other[axis]))
    return common > max(box[2] * box[3], other[2] * other[3]) // 2


def _resized(activation_map: ArrayLike, image_size_hw: tuple[int, int]) -> NDArray[np.float64]:
    source = np.asarray(activation_map, "float64")
    if source.ndim != 2 or source.size == 0 or not np.isfinite(source).all():
        raise ValueError(
            "`activation_map` must be (h, w) and finite. "
            f"Received: shape {source.shape}, {np.count_nonzero(~np.isfinite(source))} values not finite"
        )
    height, width = image_size_hw
    return np.asarray(cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR), "float64")
