"""Eigen-CAM."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence
from keras_cam.ops.principal_component import principal_component


def eigencam(evidence: Evidence) -> Any:
    """The first principal component of the features, the same for every class.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w), with mean 0; for the sign see `principal_component`.

    Reference:
        Muhammad and Yeasin, Eigen-CAM, IJCNN 2020, section III. That the features are centred is a custom of
        the package grad-cam.
    """
    component = principal_component(evidence.features)
    return ops.repeat(component[:, None], ops.shape(evidence.class_ids)[1], axis=1)
