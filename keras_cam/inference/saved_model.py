"""Localizers in SavedModels.

TensorFlow itself is used here to load them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.images.resize import input_size_hw
from keras_cam.inference.any_number import any_number_of_images
from keras_cam.inference.localizer import MAPS_FILE, Localizer, maps_in_file
from keras_cam.models.labels import labels_in_file, read_labels
from keras_cam.recipes import default_image_size


class SavedModelLocalizer(Localizer):
    """A localizer in a SavedModel, see `keras_cam.inference.Localizer`.

    Args:
        path: a folder that `keras_cam.export.save_saved_model` wrote, such as `models/cam/1`; or the folder
            of the versions, which stands for the newest.

    Raises:
        ValueError: if there is no such SavedModel.
    """

    runtime = "tensorflow"

    def __init__(self, path: str | Path) -> None:
        import tensorflow as tf

        rule = "`path` must be a SavedModel from `keras_cam.export.save_saved_model`."
        version = _newest_version(Path(path))
        try:
            self._model = tf.saved_model.load(str(version))
            signatures = self._model.signatures
            self._localize, self._classify, self._cam = (
                signatures[name] for name in ("localize", "classify", "cam")
            )
        except (OSError, tf.errors.OpError) as error:
            raise ValueError(f"{rule} Received: path={str(path)!r} ({error})") from error
        except KeyError as error:
            raise ValueError(
                f"{rule} Received: path={str(path)!r} with the signatures {sorted(signatures)}"
            ) from error
        images = self._localize.structured_input_signature[1]["images"]
        self._dtype = images.dtype
        self.channels = int(images.shape[-1])
        self.size_hw = input_size_hw(images.shape, default_image_size(self._localize.structured_outputs))
        self.classes = int(self._classify.structured_outputs["logits"].shape[-1])
        self.takes_ranks = "logits" in self._cam.structured_outputs  # older models do not
        labels = version / "assets" / "labels.txt"
        found = read_labels(labels) if labels.exists() else None
        self.labels = labels_in_file(path, found, self.classes)
        maps = version / "assets" / MAPS_FILE
        self.map_kind, self.map_method = maps_in_file(maps.read_bytes() if maps.exists() else None)

    @any_number_of_images
    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """The outputs of the Keras localizer."""
        return _arrays(self._localize(images=self._pixels(images)))

    @any_number_of_images
    def classify(self, images: Any) -> np.ndarray:
        """Logits (B, N)."""
        return self._classify(images=self._pixels(images))["logits"].numpy()

    @any_number_of_images
    def cam(self, images: Any, class_ids: Any) -> dict[str, np.ndarray]:
        """Maps and boxes of chosen classes (B, K), see `Localizer.cam`."""
        asked = np.asarray(class_ids, np.int32)
        return _arrays(self._cam(images=self._pixels(images), class_ids=asked))

    def _pixels(self, images: Any) -> Any:
        import tensorflow as tf

        return tf.cast(images, self._dtype)


def _newest_version(path: Path) -> Path:
    if (path / "saved_model.pb").exists():
        return path
    versions = [entry for entry in path.glob("*/") if entry.name.isdecimal()]
    return max(versions, key=lambda version: int(version.name), default=path)


def _arrays(outputs: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in outputs.items()}
