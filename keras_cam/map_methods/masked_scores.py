"""The scores of the chosen classes when parts of the features are masked."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_cam.map_methods.evidence import Evidence

_AT_ONCE = 32  # masks in one pass through the head: more need more memory and save no time


def masked_scores(evidence: Evidence, count: int, masks_of: Callable[[Any], Any]) -> Any:
    """Multiply the features by one mask after the other and classify them.

    Args:
        evidence: see `Evidence`.
        count: the number of masks.
        masks_of: from the indices of some masks, integers (m,), to these masks; their shape has to broadcast
            to (m, B, h, w, C).

    Returns:
        float32 (count, B, K), the scores of the chosen classes, see `Evidence`.

    Examples:
        >>> import numpy as np
        >>> features = np.array([[[[1.0], [2.0]]]], "float32")
        >>> logits_of = lambda features: ops.sum(features, (1, 2))
        >>> evidence = Evidence(features, np.array([[0]]), logits_of(features), None, logits_of)
        >>> first_or_second = lambda indices: ops.one_hot(indices, 2)[:, None, None, :, None]
        >>> masked_scores(evidence, 2, first_or_second).numpy().ravel().tolist()
        [1.0, 2.0]
    """
    batch, height, width, channels = ops.shape(evidence.features)

    def scores_of(indices: Any) -> Any:
        masked = masks_of(indices) * evidence.features[None]
        return evidence.scores_of(ops.reshape(masked, (-1, height, width, channels)))

    at_once = min(count, _AT_ONCE)
    # The last group is filled up with the last mask, so that all groups have one size.
    indices = ops.minimum(ops.arange(-(-count // at_once) * at_once), count - 1)
    scores = ops.map(scores_of, ops.reshape(indices, (-1, at_once)))
    return ops.reshape(scores, (-1, batch, ops.shape(evidence.class_ids)[1]))[:count]
