"""Grey values of more than 8 bits, and the range that a file states for them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

# TIFF tags: BitsPerSample, SMinSampleValue, SMaxSampleValue.
_BITS, _LOWEST, _HIGHEST = 258, 340, 341


def deep_grey(image: Image.Image) -> np.ndarray | None:
    """The values (H, W) of a grey image of more than 8 bits, which `convert("RGB")` would clip at 255.

    Examples:
        >>> deep_grey(Image.new("F", (1, 1), 0.5)), deep_grey(Image.new("L", (1, 1)))
        (array([[0.5]], dtype=float32), None)
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return np.asarray(image).astype(np.uint16)
    return np.asarray(image) if image.mode in ("I", "F") else None


def stated_range(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    """The values of black and white that the tags of a TIFF file state, by their numbers."""
    if _LOWEST in tags and _HIGHEST in tags:
        low, high = (float(np.ravel(tags[tag])[0]) for tag in (_LOWEST, _HIGHEST))
        return (low, high) if np.isfinite([low, high]).all() and low < high else None
    bits = int(np.ravel(tags.get(_BITS, 16))[0])
    return (0.0, 2.0**bits - 1) if 8 < bits < 16 else None


def doubt(values: np.ndarray) -> str:
    """Why the range of grey values is uncertain; empty if it is not."""
    if values.dtype != np.uint16:
        return "the file does not state the range of its values, so the lowest is black and the highest white"
    highest = int(values.max())
    if 255 < highest < 4096:
        return f"16-bit values of at most {highest} are dark; 12-bit ones have a range of 0 to 4095"
    return ""


def scaled(values: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """Grey values as uint8 (H, W, 3)."""
    if value_range is None and values.dtype == np.uint16:
        value_range = (0.0, 65535.0)
    with np.errstate(invalid="ignore"):  # casting signalling NaNs warns
        values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = value_range or ((finite.min(), finite.max()) if finite.size else (0.0, 0.0))
    grey = np.zeros(values.shape)
    if low < high:
        grey = np.clip(np.nan_to_num((values - low) / (high - low), posinf=1.0, neginf=0.0), 0.0, 1.0)
    return np.repeat(np.rint(255.0 * grey).astype(np.uint8)[..., None], 3, axis=-1)
