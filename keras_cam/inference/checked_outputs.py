"""What a localizer returned, checked before anybody believes it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# The shape of each output, of which two are optional; letters stand for sizes that are the same everywhere.
_SHAPES = {
    "detection_boxes": "BK4",
    "detection_classes": "BK",
    "detection_scores": "BK",
    "num_detections": "B",
    "class_activation_maps": "BKhw",
    "localization_maps": "BKyx",
}
_OPTIONAL = ("localization_maps",)


def checked_outputs(outputs: Mapping[str, Any], images: int, classes: int) -> dict[str, np.ndarray]:
    """The outputs of a localizer as arrays, if they are what a localizer gives.

    Args:
        outputs: what came, arrays or nested lists; anything but the outputs of a localizer is left out.
        images: B, the number of images that were given.
        classes: N, the number of classes.

    Returns:
        The arrays that `keras_cam.build_localizer` describes.

    Raises:
        ValueError: one of them is missing, is not numbers of the right shape, or has values that no
            localizer gives: classes outside 0..N-1, scores or sides of boxes outside [0, 1], boxes whose
            sides are swapped, more detections than rows, or numbers that are not finite.

    Examples:
        >>> checked_outputs({"detection_boxes": [[1, 2]]}, images=1, classes=3)
        Traceback (most recent call last):
        ...
        ValueError: `detection_boxes` must be numbers of shape (1, K, 4). Received: an array of shape (1, 2)
    """
    sizes = {"B": images, "4": 4}
    names = [name for name in _SHAPES if name in outputs or name not in _OPTIONAL]
    arrays = {name: _numbers(name, outputs, sizes) for name in names}
    boxes, counts = arrays["detection_boxes"], arrays["num_detections"]
    for name, values, highest in (
        ("detection_classes", arrays["detection_classes"], classes - 1),
        ("detection_scores", arrays["detection_scores"], 1),
        ("detection_boxes", boxes, 1),
        ("num_detections", counts, sizes["K"]),
    ):
        # Some runtimes round 1 up in the last bits.
        if values.size and (values.min() < -1e-4 or values.max() > highest + 1e-4):
            raise ValueError(
                f"`{name}` must be in 0..{highest}. Received: {values.min():g} to {values.max():g}"
            )
    if np.any(boxes[..., :2] > boxes[..., 2:]):
        raise ValueError("`detection_boxes` must be ymin, xmin, ymax, xmax. Received: swapped sides")
    for name in ("detection_classes", "num_detections"):
        if np.any(arrays[name] % 1):
            raise ValueError(f"`{name}` must be integers. Received: fractions")
    return arrays


def _numbers(name: str, outputs: Mapping[str, Any], sizes: dict[str, int]) -> np.ndarray:
    """One output as an array; its sizes are compared with `sizes`, and those that are new put there."""
    letters = _SHAPES[name]
    expected = ", ".join(str(sizes.get(letter, letter)) for letter in letters)
    rule = f"`{name}` must be numbers of shape ({expected}{',' if len(letters) == 1 else ''})."
    if name not in outputs:
        raise ValueError(f"{rule} Received: nothing of that name")
    try:
        values = np.asarray(outputs[name])
    except ValueError as error:  # rows of unequal length
        raise ValueError(f"{rule} Received: {error}") from error
    if values.dtype.kind not in "iuf":
        raise ValueError(f"{rule} Received: values of another kind, {values.dtype}")
    if values.ndim != len(letters) or any(
        sizes.setdefault(letter, size) != size for letter, size in zip(letters, values.shape, strict=True)
    ):
        raise ValueError(f"{rule} Received: an array of shape {values.shape}")
    if not np.all(np.abs(values) <= np.finfo(np.float32).max):
        raise ValueError(f"{rule} Received: numbers that are not finite in 32 bits")
    return values
