"""HiResCAM."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence


def hirescam(evidence: Evidence) -> Any:
    """At each position, channels weighted by their gradients; times the number of positions.

    If everything between the features and the logits is affine, `mean(map) + bias == logit`; behind global
    average pooling it is the class activation map.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w).

    Reference:
        Draelos and Carin, Use HiResCAM instead of Grad-CAM, 2020, section 3.
    """
    return evidence.positions() * ops.sum(evidence.gradients() * evidence.features[:, None], axis=-1)
