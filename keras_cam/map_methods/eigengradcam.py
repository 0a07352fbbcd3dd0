"""Eigen-CAM of the products of gradients and features."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence
from keras_cam.ops.principal_component import principal_component


def eigengradcam(evidence: Evidence) -> Any:
    """The first principal component of the products of gradient and feature, times the number of positions.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w), with mean 0; for the sign see `principal_component`.

    Reference:
        `EigenGradCAM` of the package grad-cam, by Gildenblat and others.
    """
    gradients = evidence.gradients()
    batch, classes, height, width, channels = ops.shape(gradients)
    products = ops.reshape(gradients * evidence.features[:, None], (-1, height, width, channels))
    maps = ops.reshape(principal_component(products), (batch, classes, height, width))
    return evidence.positions() * maps
