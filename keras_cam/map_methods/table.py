"""The methods that make maps from the head of a classifier, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_cam.map_methods.evidence import Evidence
from keras_cam.map_methods.gradcam import gradcam
from keras_cam.map_methods.hirescam import hirescam


@dataclass(frozen=True)
class MapMethod:
    """A way to make maps.

    Attributes:
        summary: one line for people.
        maps: from an `Evidence` to maps (B, K, h, w).
        reference: the paper.
    """

    summary: str
    maps: Callable[[Evidence], Any]
    reference: str


MAP_METHODS: dict[str, MapMethod] = {
    "gradcam": MapMethod("channels weighted by their mean gradient", gradcam, "Selvaraju et al., ICCV 2017"),
    "hirescam": MapMethod("gradient times activation", hirescam, "Draelos and Carin, 2020"),
}
