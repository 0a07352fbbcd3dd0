"""Grad-CAM++."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence
from keras_cam.ops.maps import weighted_channels


def gradcam_plus_plus(evidence: Evidence) -> Any:
    """Channels weighted by their positive gradients g, each of them divided by 2 + g * (sum of the channel).

    This is the paper's alpha, `g**2 / (2 g**2 + sum(f) g**3)`, for the exponential of the logit. Its features
    come from a ReLU; a sum below zero counts as zero here, so that the divisor is at least 2.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w).

    Reference:
        Chattopadhyay et al., Grad-CAM++, WACV 2018, equation 19 and section 3.3.
    """
    positive = ops.relu(evidence.gradients())
    sums = ops.relu(ops.sum(evidence.features, axis=(1, 2), keepdims=True))[:, None]
    return weighted_channels(evidence.features, ops.sum(positive / (2 + sums * positive), axis=(2, 3)))
