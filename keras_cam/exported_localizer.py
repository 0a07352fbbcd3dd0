"""What localizers in files of other formats than Keras' have in common."""

from typing import Any, Protocol

import numpy as np


class ExportedLocalizer(Protocol):
    """A localizer that `keras_cam.export` wrote and that something else than Keras runs.

    `keras_cam.file_localizer.load_localizer` opens one; `localize_files` there and
    `keras_cam.evaluate.evaluate` take it in place of a Keras model. Images are RGB pixels in 0..255,
    (B, H, W, 3) of the size `size_hw`.

    Attributes:
        size_hw: the height and width that photos are resized to.
        classes: how many classes it tells apart.
        labels: their names; None if the file has none.
    """

    size_hw: tuple[int, int]
    classes: int
    labels: tuple[str, ...] | None

    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """The outputs of the Keras localizer, as `keras_cam.build_localizer` describes them."""

    def classify(self, images: Any) -> np.ndarray:
        """Logits, float32 (B, N)."""

    def cam(self, images: Any, class_ids: Any) -> np.ndarray:
        """The raw maps of chosen classes (B, K), float32 (B, K, h, w)."""
