"""What pools the features of a backbone, on any runtime. Importing this module does not import Keras."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.images.resize import input_size_hw
from keras_cam.inference.converted_files import converted_file
from keras_cam.inference.load import DEFAULT_MODEL, is_exported, load_classifier
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.runtimes import AUTO, LITERT, TENSORFLOW, Task, load_fastest

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class FeatureExtractor:
    """What pools the features of images.

    Attributes:
        pool: from images float32 (B, H, W, 3), RGB in 0..255, to the globally average-pooled features float32
            (B, C).
        size_hw: the height and width of the images.
        channels: C.
        runtime: what computes, a key of `keras_cam.inference.runtimes.RUNTIMES`.
        key: makes a text that changes with the backbone and with the runtime; it reads all weights.
    """

    pool: Callable[[np.ndarray], np.ndarray]
    size_hw: tuple[int, int]
    channels: int
    runtime: str
    key: Callable[[], str]

    @classmethod
    def load(
        cls, model: str | Path = DEFAULT_MODEL, layer: str | None = None, runtime: str = AUTO, photos: int = 1
    ) -> "FeatureExtractor":
        """Opens a model up to a layer, with the runtime that extracts the features of so many photos fastest.

        Args:
            model: what `keras_cam.inference.load_classifier` takes, a name or a file.
            layer: see `backbone_of`.
            runtime: a key of `keras_cam.inference.runtimes.RUNTIMES`; or "auto", see
                `keras_cam.inference.runtimes.load_fastest`.
            photos: how many photos there will be.

        Raises:
            ValueError: the file cannot be loaded, there is no such layer or runtime, or the runtime cannot
                compute the model.
            ModuleNotFoundError: the package of the runtime is not installed.

        Examples:
            >>> extractor = FeatureExtractor.load("efficientnet_lite0", "block10_add", "tensorflow")
            >>> extractor.size_hw, extractor.channels
            ((224, 224), 112)
        """
        if is_exported(model):
            raise ValueError(
                "`model` must be a name or a Keras model: exported localizers do not give their features. "
                f"Received: model={str(model)!r}"
            )
        localizer = load_fastest(model, runtime, photos, FEATURES, layer=layer)

        def key() -> str:
            file = converted_file(model, LITERT, {"layer": layer}, FEATURES.name)
            return f"{file.stem} {localizer.runtime}"

        return cls(localizer.classify, localizer.size_hw, localizer.classes, localizer.runtime, key)

    @classmethod
    def of(cls, backbone: "keras.Model") -> "FeatureExtractor":
        """Takes a Keras model from images to features (B, h, w, C), see `backbone_of`."""

        def pool(images: np.ndarray) -> np.ndarray:
            return backbone.predict_on_batch(images).mean(axis=(1, 2), dtype=np.float32)

        def key() -> str:
            digest = hashlib.sha256(backbone.to_json().encode())
            for variable in backbone.variables:
                digest.update(np.asarray(variable).tobytes())
            return digest.hexdigest()

        size_hw, channels = input_size_hw(backbone.inputs[0].shape), backbone.outputs[0].shape[-1]
        return cls(pool, size_hw, channels, TENSORFLOW, key)


def _load_channels(model: str | Path, layer: str | None = None) -> Localizer:
    from keras_cam.applications.features.backbone import backbone_of
    from keras_cam.applications.features.channel_localizer import channel_localizer
    from keras_cam.inference.keras import KerasLocalizer

    return KerasLocalizer(channel_localizer(backbone_of(load_classifier(model), layer)))


def _features(localizer: Localizer, images: np.ndarray) -> dict[str, Any]:
    return {"features": localizer.classify(images)}


FEATURES = Task("features", _load_channels, _features)
"""Opens models as localizers whose logits are pooled features, see `channel_localizer`."""
