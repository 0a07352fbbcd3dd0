"""Grad-CAM of single elements."""

from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence


def elementwise(evidence: Evidence) -> Any:
    """The positive products of gradient and feature, summed over channels; times the number of positions.

    Args:
        evidence: see `Evidence`.

    Returns:
        float32 (B, K, h, w), never negative.

    Reference:
        `GradCAMElementWise` of the package grad-cam, by Gildenblat and others.
    """
    products = evidence.gradients() * evidence.features[:, None]
    return evidence.positions() * ops.sum(ops.relu(products), axis=-1)
