"""Score-CAM of the features."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence
from keras_cam.map_methods.masked_scores import masked_scores
from keras_cam.ops.maps import weighted_channels


def scorecam(evidence: Evidence) -> Any:
    """Channels weighted by the logits of the features masked by that channel, softmax over the channels.

    The mask is the channel in the unit range. The paper masks the image and runs the whole network for each
    channel; masking the features instead runs the head alone.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w).

    Reference:
        Wang et al., Score-CAM, CVPR Workshops 2020, section 3.
    """
    features = evidence.features
    low = ops.min(features, axis=(1, 2), keepdims=True)
    span = ops.max(features, axis=(1, 2), keepdims=True) - low
    channels = ops.transpose((features - low) / ops.where(span > 0, span, 1.0), (3, 0, 1, 2))
    scores = masked_scores(
        evidence, channels.shape[0], lambda indices: ops.take(channels, indices, axis=0)[..., None]
    )
    return weighted_channels(features, ops.softmax(ops.transpose(scores, (1, 2, 0)), axis=-1))
