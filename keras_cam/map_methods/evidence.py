"""What a map method may use: features, logits and gradients of the head of a classifier."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Evidence:
    """Features of images, and how the logits of chosen classes depend on them. All values are float32.

    Attributes:
        features: (B, h, w, C).
        class_ids: integers (B, K).
        logits: (B, N).
        gradients: returns the derivatives of the logits of the chosen classes with respect to the features,
            (B, K, h, w, C); or, given weights (B, K, N), those of the K weighted sums of logits.
        logits_of: the logits (n * B, N) of other features (n * B, h, w, C), n copies of the batch one after
            another.
    """

    features: Any
    class_ids: Any
    logits: Any
    gradients: Callable[..., Any]
    logits_of: Callable[[Any], Any]
