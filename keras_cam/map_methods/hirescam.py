"""HiResCAM: gradient times activation at each position."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence


def hirescam(evidence: Evidence) -> Any:
    """The sum over channels of gradient times activation, times the number of positions.

    With this factor, the map of a linear classifier behind global average pooling is its class activation
    map: the mean of the map plus the bias is the logit.

    Reference:
        Draelos and Carin, Use HiResCAM instead of Grad-CAM, 2020.
    """
    height, width = ops.shape(evidence.features)[1:3]
    positions = ops.cast(height * width, "float32")
    return positions * ops.sum(evidence.gradients() * evidence.features[:, None], axis=-1)
