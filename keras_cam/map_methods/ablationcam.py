"""Ablation-CAM."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence
from keras_cam.map_methods.masked_scores import masked_scores
from keras_cam.ops.maps import weighted_channels


def ablationcam(evidence: Evidence) -> Any:
    """Channels weighted by how much the logit falls when the channel is set to zero.

    The paper divides the fall by the logit, which would turn the map of a negative logit over.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w).

    Reference:
        Desai and Ramaswamy, Ablation-CAM, WACV 2020, section 3.
    """
    channels = evidence.features.shape[-1]
    scores = masked_scores(
        evidence, channels, lambda indices: 1 - ops.one_hot(indices, channels)[:, None, None, None]
    )
    return weighted_channels(evidence.features, ops.transpose(evidence.scores() - scores, (1, 2, 0)))
