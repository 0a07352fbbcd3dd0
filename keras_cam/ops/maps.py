"""Class activation maps of chosen classes."""

from typing import Any

import tensorflow as tf  # `tf.gather`, as in `components.py`
from keras import ops


def class_activation_maps(features: Any, kernel: Any, class_ids: Any) -> Any:
    """Apply the columns of a linear classifier at every position of its features.

    `M_c(y, x) = sum_k kernel[k, c] * features[y, x, k]`. The mean of the map plus the classifier's bias is
    the logit that global average pooling gives, exactly. Only the asked columns are multiplied.

    Args:
        features: float tensor (B, h, w, C), the input of the global average pooling.
        kernel: float tensor (C, N), the classifier behind the pooling.
        class_ids: integer tensor (B, K), for each image the classes whose maps are wanted, in [0, N).

    Returns:
        Float tensor (B, K, h, w).

    Reference:
        Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016, section 2.

    Examples:
        >>> import numpy as np
        >>> features = np.array([[[[1.0, 0.0], [0.0, 2.0]]]])  # one image, 1x2 positions, 2 channels
        >>> kernel = np.array([[1.0, 3.0], [10.0, -1.0]])
        >>> np.asarray(class_activation_maps(features, kernel, np.array([[1]]))).tolist()
        [[[[3.0, -2.0]]]]
    """
    batch, height, width, channels = ops.shape(features)
    classes = ops.shape(class_ids)[1]
    columns = ops.transpose(tf.gather(kernel, class_ids, axis=1), (1, 2, 0))  # (B, K, C)
    positions = ops.reshape(features, (batch, height * width, channels))
    maps = ops.matmul(columns, ops.transpose(positions, (0, 2, 1)))
    return ops.reshape(maps, (batch, classes, height, width))
