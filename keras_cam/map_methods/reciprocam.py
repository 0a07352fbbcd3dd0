"""Recipro-CAM."""

from typing import Any

import numpy as np
from keras import ops

from keras_cam.map_methods.evidence import Evidence
from keras_cam.map_methods.masked_scores import masked_scores

_GAUSSIAN = (0.25, 0.5, 0.25)  # along each axis, around the position


def reciprocam(evidence: Evidence) -> Any:
    """At each position, the logit of the features near it alone, less the logit of no features at all.

    The features are masked by a Gaussian of 3 x 3 positions. The paper takes the softmax of the logits, which
    compares classes; the logit itself serves heads with any activation.

    Args:
        evidence: see `Evidence`. The height and width of its features have to be fixed.

    Returns:
        float32 (B, K, h, w).

    Raises:
        ValueError: the height or width of the features is not known.

    Reference:
        Byun and Lee, Recipro-CAM, CVPR Workshops 2024, section 3.
    """
    height, width = evidence.features.shape[1:3]
    if height is None or width is None:
        raise ValueError(
            "Recipro-CAM needs features of a fixed height and width: give the classifier an input of fixed "
            f"size. Received: features of shape {tuple(evidence.features.shape)}"
        )
    masks = _neighbourhoods(height, width)
    scores = masked_scores(evidence, len(masks), lambda indices: ops.take(masks, indices, axis=0))
    nothing = evidence.scores_of(ops.zeros_like(evidence.features))
    batch, classes = ops.shape(evidence.class_ids)
    return ops.reshape(ops.transpose(scores - nothing, (1, 2, 0)), (batch, classes, height, width))


def _neighbourhoods(height: int, width: int) -> np.ndarray:
    """A mask around each position, float32 (h * w, 1, h, w, 1)."""
    rows, columns = (
        sum(weight * np.eye(size, k=offset) for offset, weight in zip((-1, 0, 1), _GAUSSIAN, strict=True))
        for size in (height, width)
    )
    return np.kron(rows, columns).reshape(height * width, 1, height, width, 1).astype("float32")
