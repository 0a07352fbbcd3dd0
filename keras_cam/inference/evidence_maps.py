"""Maps that can be compared and averaged from image to image: all in units of the logit; and their boxes.

OpenCV is imported where it is used: the help of the command line imports this package.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

# A map is constant up to rounding if its range is smaller than this fraction of its maximum.
_FLAT = 1e-6

# Maps are resized to the image, but to no more pixels than this a side.
_LONGEST = 4096


def evidence_maps(outputs: Mapping[str, Any]) -> np.ndarray:
    """The maps that boxes are made of, in units of the logit.

    Class activation maps are in this unit. Refined maps are not: each has the maximum 1, also where the class
    is absent. They spread the positive part of a class activation map, divided by its maximum; multiplied by
    this maximum, they say again how much speaks for the class.

    Args:
        outputs: `class_activation_maps` (B, K, h, w) and, if maps are refined, `localization_maps`
            (B, K, h', w'), as `keras_cam.inference.Localizer.cam` gives them.

    Returns:
        float32 (B, K, h', w') or (B, K, h, w).

    Examples:
        >>> raw = np.array([[[[-1.0, 6.0]]], [[[0.5, 0.25]]]])
        >>> refined = np.array([[[[0.0, 1.0]]], [[[0.0, 1.0]]]])
        >>> maps = evidence_maps({"class_activation_maps": raw, "localization_maps": refined})
        >>> maps.ravel().tolist()
        [0.0, 6.0, 0.0, 0.5]
    """
    raw = np.asarray(outputs["class_activation_maps"], np.float32)
    if "localization_maps" not in outputs:
        return raw
    highest = raw.max(axis=(2, 3), keepdims=True).clip(min=0)
    return np.asarray(outputs["localization_maps"], np.float32) * highest


def component_boxes(
    activation_map: np.ndarray, size_wh: tuple[int, int], threshold: float, max_boxes: int
) -> np.ndarray:
    """The boxes of the largest connected components of a map that is resized to its image.

    `keras_cam.ops.boxes_from_maps` does the same inside a graph, for the small maps of one pass of a network.

    Args:
        activation_map: (h, w).
        size_wh: the width and height of the image.
        threshold: the fraction of the map's maximum that the values exceed.
        max_boxes: at most so many boxes, the largest components first.

    Returns:
        (N, 4) xmin, ymin, xmax, ymax in pixels of the image, half-open maxima; none if the map is constant or
        positive nowhere. For sides of more than 4096 pixels the map is resized to 4096.

    Examples:
        >>> peaks = np.zeros((4, 8), np.float32)
        >>> peaks[1, 2] = peaks[2, 6] = 1.0  # the surface falls to 0.5 half a cell from the node
        >>> component_boxes(peaks, (80, 40), 0.5, 5).tolist()
        [[20.0, 10.0, 30.0, 20.0], [60.0, 20.0, 70.0, 30.0]]
    """
    import cv2

    map_hw = np.array(activation_map.shape)
    scale = min(1.0, max(_LONGEST, *map_hw) / max(size_wh))
    surface_wh = [max(1, round(side * scale)) for side in size_wh]
    surface = cv2.resize(np.asarray(activation_map, np.float32), surface_wh, interpolation=cv2.INTER_LINEAR)
    highest = float(surface.max())
    if highest <= 0 or np.ptp(activation_map) <= _FLAT * highest:
        return np.zeros((0, 4))
    above = (surface > threshold * highest).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(above)
    stats = stats[1:]  # without the background
    largest = stats[np.argsort(-stats[:, cv2.CC_STAT_AREA], kind="stable")[:max_boxes]]
    corners = np.concatenate([largest[:, :2], largest[:, :2] + largest[:, 2:4]], axis=1)
    return corners * np.tile(np.divide(size_wh, surface_wh), 2)
