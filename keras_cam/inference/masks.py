"""The pixels of an object: a thresholded map as a mask, and masks as run-length codes and polygons.

OpenCV is imported where it is used: the help of the command line imports this module.
"""

import math
from collections.abc import Sequence

import numpy as np

from keras_cam.recipes import THRESHOLD

# Polygons may leave the outline by so many pixels, which makes them about ten times as short.
_TOLERANCE = 0.7


def object_mask(
    activation_map: np.ndarray,
    box_xyxy: Sequence[float],
    size_wh: tuple[int, int],
    threshold: float = THRESHOLD,
) -> np.ndarray:
    """The pixels of the object in a box: where the map, resized to the photo, is above the threshold.

    Args:
        activation_map: float (h, w), the map that the box was cut out of.
        box_xyxy: xmin, ymin, xmax, ymax in pixels of the photo, half-open maxima.
        size_wh: width and height of the photo.
        threshold: the fraction of the map's maximum that the values exceed; if nothing in the box does, the
            fraction of the maximum in the box.

    Returns:
        bool (height, width): the largest connected component inside the box.

    Reference:
        Zhou et al., CVPR 2016, section 3.2, whose box encloses this component.

    Examples:
        >>> peak = np.zeros((4, 4), np.float32)
        >>> peak[1, 2] = 1.0  # the surface falls to 0.5 half a cell from the node
        >>> mask = object_mask(peak, (20.0, 10.0, 30.0, 20.0), (40, 40), 0.5)
        >>> mask.shape, np.flatnonzero(mask.any(axis=0)).tolist()
        ((40, 40), [20, 21, 22, 23, 24, 25, 26, 27, 28, 29])
    """
    import cv2

    surface = cv2.resize(np.asarray(activation_map, np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    xmin, ymin = (max(0, math.floor(side + 1e-3)) for side in box_xyxy[:2])
    xmax, ymax = (math.ceil(side - 1e-3) for side in box_xyxy[2:])
    inside = surface[ymin:ymax, xmin:xmax]
    mask = np.zeros(surface.shape, bool)
    if inside.size:
        highest = inside.max()
        level = threshold * surface.max()
        above = inside > (level if highest > level else threshold * highest)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8))
        stats[0, cv2.CC_STAT_AREA] = 0  # the background
        mask[ymin:ymax, xmin:xmax] = above & (labels == np.argmax(stats[:, cv2.CC_STAT_AREA]))
    return mask


def run_lengths(mask: np.ndarray) -> list[int]:
    """The lengths of the runs of a mask, column by column, beginning with zeros.

    Examples:
        >>> run_lengths(np.array([[True, False], [True, True]]))
        [0, 2, 1, 1]
    """
    pixels = np.asarray(mask, bool).T.ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    runs = np.diff(np.concatenate([[0], changes, [pixels.size]])).tolist()
    return [0, *runs] if pixels[0] else runs


def coco_rle(mask: np.ndarray) -> dict[str, object]:
    """A mask as COCO's compressed run-length code.

    Args:
        mask: bool (height, width).

    Returns:
        `{"size": [height, width], "counts": text}`, which `pycocotools.mask.decode` reads.

    Reference:
        `rleToString` in https://github.com/cocodataset/cocoapi: differences to the run before the last one,
        in groups of 5 bits with a sign, as printable characters.

    Examples:
        >>> coco_rle(np.array([[False, True], [False, True]]))
        {'size': [2, 2], 'counts': '22'}
    """
    runs = run_lengths(mask)
    differences = [run - (runs[index - 2] if index > 2 else 0) for index, run in enumerate(runs)]
    return {"size": list(mask.shape), "counts": "".join(map(_characters, differences))}


def _characters(value: int) -> str:
    text = ""
    while True:
        group, value = value & 31, value >> 5
        last = value == (-1 if group & 16 else 0)
        text += chr(48 + group + (0 if last else 32))
        if last:
            return text


def polygons(mask: np.ndarray) -> list[np.ndarray]:
    """The outlines of a mask, without its holes, within a pixel.

    Args:
        mask: bool (height, width).

    Returns:
        A polygon for each part, the largest one first: float32 (n, 2) with the x and y of n >= 3 corners in
        pixels, on the borders between pixels: a mask of one pixel is a square of side 1.

    Examples:
        >>> mask = np.zeros((4, 4), bool)
        >>> mask[1:3, 1] = True
        >>> polygons(mask)[0].tolist()
        [[1.0, 1.0], [1.0, 3.0], [2.0, 3.0], [2.0, 1.0]]
    """
    import cv2

    # OpenCV's contours run through the centres of pixels. Of a mask of twice the size, every second line of
    # centres becomes a border between pixels.
    double = np.repeat(np.repeat(mask.astype(np.uint8), 2, axis=0), 2, axis=1)
    contours, _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = [cv2.approxPolyDP((contour + 1) // 2, _TOLERANCE, closed=True) for contour in contours]
    corners = [outline.reshape(-1, 2).astype(np.float32) for outline in outlines if len(outline) >= 3]
    return sorted(corners, key=cv2.contourArea, reverse=True)
