"""Maps that are weighted sums of channels."""

from typing import Any

import tensorflow as tf  # `tf.gather`, as in `components.py`
from keras import ops


def class_activation_maps(features: Any, kernel: Any, class_ids: Any) -> Any:
    """Apply columns of a linear classifier at every spatial position of its feature map.

    `M_c(y, x) = sum_k kernel[k, c] * features[y, x, k]`. The mean of the map plus the classifier's bias is
    exactly the logit of the class. Only the selected columns are multiplied.

    Args:
        features: float tensor (B, h, w, C), the input of the global average pooling.
        kernel: float tensor (C, N), the weights of the classifier after the pooling.
        class_ids: integer tensor (B, K) in [0, N), the selected classes of each image.

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
    columns = ops.transpose(tf.gather(kernel, class_ids, axis=1), (1, 2, 0))  # (B, K, C)
    return weighted_channels(features, columns)


def weighted_channels(features: Any, weights: Any) -> Any:
    """Sum the channels of a feature map with weights of their own for each class.

    Args:
        features: float tensor (B, h, w, C).
        weights: float tensor (B, K, C).

    Returns:
        Float tensor (B, K, h, w).

    Examples:
        >>> import numpy as np
        >>> features = np.array([[[[1.0, 0.0], [0.0, 2.0]]]])  # one image, 1x2 positions, 2 channels
        >>> np.asarray(weighted_channels(features, np.array([[[3.0, -1.0]]]))).tolist()
        [[[[3.0, -2.0]]]]
    """
    batch, height, width, channels = ops.shape(features)
    positions = ops.reshape(features, (batch, height * width, channels))
    maps = ops.matmul(weights, ops.transpose(positions, (0, 2, 1)))
    return ops.reshape(maps, (batch, ops.shape(weights)[1], height, width))
