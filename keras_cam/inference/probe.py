"""What a localizer gives for an image: a saved one does not say it, so it is tried out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_cam.inference.evidence_maps import evidence_maps
from keras_cam.inference.localizer import Localizer
from keras_cam.recipes import usual_threshold


@dataclass(frozen=True)
class Probe:
    """What a localizer gives for an image.

    Attributes:
        map_hw: the height and width of the maps that boxes are made of.
        top_k: the number of classes that get maps.
        threshold: the fraction of a map's maximum above which an object is.
        probabilities: from logits (B, N) to probabilities.
    """

    map_hw: tuple[int, int]
    top_k: int
    threshold: float
    probabilities: Callable[[np.ndarray], np.ndarray]


def probe(localizer: Localizer) -> Probe:
    """Try out a localizer with one image of zeros.

    Whether probabilities are the softmax or the sigmoid of the logits is seen from those of this image.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=3, input_shape=(96, 96, 3))
        >>> found = probe(keras_cam.load_localizer(model, refine="none"))
        >>> found.map_hw, found.top_k, found.threshold
        ((3, 3), 3, 0.2)
    """
    zeros = np.zeros((1, *localizer.size_hw, localizer.channels), np.float32)
    found, logits = localizer.localize(zeros), localizer.classify(zeros)
    class_ids, scores = (np.asarray(found[f"detection_{key}"])[0] for key in ("classes", "scores"))

    def distance(function: Callable[[np.ndarray], np.ndarray]) -> float:
        return float(np.abs(function(logits)[0, class_ids.astype(int)] - scores).max())

    return Probe(
        map_hw=evidence_maps(found).shape[2:],
        top_k=len(np.unique(class_ids)),
        threshold=usual_threshold(found) if localizer.threshold is None else localizer.threshold,
        probabilities=min((_softmax, _sigmoid), key=distance),
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * logits)  # without overflow
