"""Feature maps of several layers, resized to one grid."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_cam.ops.area_resize import area_resize


@keras.saving.register_keras_serializable("keras_cam")
class AlignedFeatures(keras.layers.Layer):
    """Resizes feature maps of different strides to the coarsest grid, by area interpolation.

    It computes in float32 for any precision of the features.

    Args:
        pooling: int, the factor by which the last feature map is reduced as well, in each direction.

    Input shape:
        A list of feature maps (B, h_n, w_n, C_n); the last must be the coarsest.

    Output shape:
        A list of float32 (B, h, w, C_n); h and w are those of the last feature map divided by `pooling`,
        rounded up.

    Examples:
        >>> import numpy as np
        >>> fine, coarse = np.array([0.0, 2.0, 4.0, 6.0]).reshape(1, 1, 4, 1), np.ones((1, 1, 2, 3))
        >>> AlignedFeatures()([fine, coarse])[0].numpy().ravel().tolist()
        [1.0, 5.0]
    """

    def __init__(self, pooling: int = 1, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if pooling < 1:
            raise ValueError(f"`pooling` must be at least 1. Received: pooling={pooling}")
        self.pooling = pooling

    def call(self, features: Sequence[Any]) -> list[Any]:
        *finer, last = features
        size_hw = tuple(-(-size // self.pooling) for size in ops.shape(last)[1:3])
        last = last if self.pooling == 1 else area_resize(last, size_hw)
        return [*(area_resize(kind, size_hw) for kind in finer), last]

    def compute_output_shape(self, features_shape: Sequence[tuple]) -> list[tuple]:
        size_hw = [None if size is None else -(-size // self.pooling) for size in features_shape[-1][1:3]]
        return [(shape[0], *size_hw, shape[-1]) for shape in features_shape]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling": self.pooling}
