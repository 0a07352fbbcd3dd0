"""What every localizer can do, whatever runs it."""

import json
from typing import Any, Protocol

import numpy as np

from keras_cam.inference.photo_crops import CropPhotos
from keras_cam.models.labels import class_names

MAPS_FILE = "maps.json"
"""The file in an exported model that says how its maps are made."""


def maps_in_file(text: str | bytes | None) -> tuple[str | None, str | None]:
    """The `map_kind` and `map_method` that an exported model carries; None where there are none.

    Examples:
        >>> maps_in_file('{"map_kind": "exact", "map_method": "cam"}'), maps_in_file(None)
        (('exact', 'cam'), (None, None))
    """
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = {}
    kind, method = (found.get(key) if isinstance(found, dict) else None for key in ("map_kind", "map_method"))
    return (str(kind), str(method)) if kind in ("exact", "gradient", "augmented") and method else (None, None)


class Localizer(Protocol):
    """A localizer, opened by `keras_cam.load_localizer`: a Keras model, a SavedModel, a LiteRT or ONNX file.

    `keras_cam.localize_files` and `keras_cam.evaluate` take any of them. Images are (B, H, W, C) of the size
    `size_hw`: RGB pixels in 0..255, or what the model takes if it has other than 3 channels.

    Attributes:
        size_hw: the height and width to which photos are resized.
        channels: the number of channels of an image.
        classes: the number of classes.
        labels: their names, if the localizer carries any, else None.
        threshold: the fraction of a map's maximum above which an object is; None: the usual one of its maps.
        map_kind: "exact", "gradient" or "augmented", see `keras_cam.layers.LocalizerModel`; None if that is
            not known.
        map_method: the method that makes the maps; None if that is not known.
        runtime: what computes, a key of `keras_cam.inference.runtimes.RUNTIMES`; "" if nobody knows.
        takes_ranks: whether `cam` takes -1 for the best class, -2 for the second best, and returns `logits`.
        looks_at_photos: whether it looks a second time, at windows of the photos themselves.
    """

    size_hw: tuple[int, int]
    channels: int = 3
    classes: int
    labels: tuple[str, ...] | None
    threshold: float | None = None
    takes_ranks: bool = False
    looks_at_photos: bool = False
    map_kind: str | None = None
    map_method: str | None = None
    runtime: str = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names that the localizer carries, else the usual ones, see `keras_cam.models.labels`."""
        return class_names(self.classes, carried=self.labels)

    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """The outputs of the Keras localizer, as `keras_cam.build_localizer` describes them."""

    def localize_photos(self, images: Any, crop: CropPhotos) -> dict[str, np.ndarray]:
        """As `localize`, for images that are photos of any size made small.

        Args:
            images: the photos, resized to `size_hw`.
            crop: cuts windows out of the photos. If the localizer can look again at more than its input, this
                is what it sees then.
        """
        return self.localize(images)

    def classify(self, images: Any) -> np.ndarray:
        """Logits, float32 (B, N)."""

    def cam(self, images: Any, class_ids: Any) -> dict[str, np.ndarray]:
        """Maps and boxes of chosen classes.

        Args:
            images: RGB pixels 0..255, (B, H, W, 3).
            class_ids: integers (B, K), the classes of each image.

        Returns:
            A dict of `class_activation_maps` float32 (B, K, h, w), raw; of `localization_maps` float32
            (B, K, h', w'), if maps are refined; and of `detection_boxes` float32 (B, K, 4), ymin, xmin, ymax,
            xmax in [0, 1], zeros where a class has no box.
        """

    def classify_and_cam(
        self, images: Any, class_ids: Any, top_k: int, crop: CropPhotos | None = None
    ) -> dict[str, np.ndarray]:
        """Logits, and maps and boxes of chosen classes followed by the best ones.

        Args:
            images: RGB pixels 0..255, (B, H, W, 3).
            class_ids: integers (B, K), the classes of each image.
            top_k: how many of the best classes follow them.
            crop: see `localize_photos`.

        Returns:
            What `cam` returns for `[class_ids, predicted]`; `logits` (B, N); and `predicted` int32
            (B, min(top_k, N)), the best classes, best first.
        """
        class_ids = np.asarray(class_ids, np.int32)
        if self.takes_ranks:  # one pass
            ranks = -1 - np.arange(min(top_k, self.classes), dtype=np.int32)
            asked = np.concatenate([class_ids, np.tile(ranks, (len(class_ids), 1))], axis=1)
            found = self.cam(images, asked)
            return {**found, "predicted": _best(found["logits"], top_k)}
        logits = self.classify(images)
        predicted = _best(logits, top_k)
        found = self.cam(images, np.concatenate([class_ids, predicted], axis=1))
        return {**found, "logits": logits, "predicted": predicted}


def _best(logits: np.ndarray, top_k: int) -> np.ndarray:
    """The best classes, best first; of equal ones the first counts, as in a Keras model."""
    return np.argsort(-logits, axis=1, kind="stable")[:, :top_k].astype(np.int32)
