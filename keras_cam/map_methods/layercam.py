"""LayerCAM."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence


def layercam(evidence: Evidence) -> Any:
    """At each position, channels weighted by their positive gradients; times the number of positions.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w).

    Reference:
        Jiang et al., LayerCAM, IEEE TIP 2021, section III.
    """
    weights = ops.relu(evidence.gradients())
    return evidence.positions() * ops.sum(weights * evidence.features[:, None], axis=-1)
