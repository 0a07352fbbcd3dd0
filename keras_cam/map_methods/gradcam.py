"""Grad-CAM."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence
from keras_cam.ops.maps import weighted_channels


def gradcam(evidence: Evidence) -> Any:
    """Channels weighted by their gradients, which are summed over the positions.

    The paper divides the sum by the number of positions and cuts the map's negative values. Here neither is
    done, so that the map of a linear head behind global average pooling is its class activation map.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w).

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, section 3.
    """
    return weighted_channels(evidence.features, ops.sum(evidence.gradients(), axis=(2, 3)))
