"""Grad-CAM: channels weighted by their mean gradient."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence


def gradcam(evidence: Evidence) -> Any:
    """The sum over channels of mean gradient times activation, times the number of positions.

    Negative values are kept: boxes and refinement use positive values only.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, section 3.
    """
    height, width = ops.shape(evidence.features)[1:3]
    weights = ops.mean(evidence.gradients(), axis=(2, 3)) * ops.cast(height * width, "float32")
    return ops.einsum("bkc,bhwc->bkhw", weights, evidence.features)
