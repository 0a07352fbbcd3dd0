"""XGrad-CAM."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence
from keras_cam.ops.maps import weighted_channels


def xgradcam(evidence: Evidence) -> Any:
    """Channels weighted by the mean of their gradients, in which each position counts as much as its feature.

    A channel whose sum is zero has no weight. The map is multiplied by the number of positions, so that of a
    linear head behind global average pooling it is the class activation map.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w).

    Reference:
        Fu et al., Axiom-based Grad-CAM, BMVC 2020, section 3.2.
    """
    sums = ops.sum(evidence.features, axis=(1, 2))[:, None]
    products = ops.sum(evidence.gradients() * evidence.features[:, None], axis=(2, 3))
    is_zero = ops.equal(sums, 0)
    weights = ops.where(is_zero, 0.0, products / ops.where(is_zero, 1.0, sums))
    return evidence.positions() * weighted_channels(evidence.features, weights)
