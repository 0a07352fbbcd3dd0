"""Averaging and rescaling of maps."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_cam.ops.affinity import unit_range


@keras.saving.register_keras_serializable("keras_cam")
class UnitRange(keras.layers.Layer):
    """The mean of several maps, rescaled so that its minimum is 0 and its maximum 1; 0 if it is constant.

    Input shape:
        A list of maps (B, K, h, w) with values in [0, 1].

    Output shape:
        float32 (B, K, h, w).

    Examples:
        >>> import numpy as np
        >>> row = np.array([0.0, 0.5, 0.5]).reshape(1, 1, 1, 3)
        >>> UnitRange()([row, row[..., ::-1]]).numpy().ravel().tolist()
        [0.0, 1.0, 0.0]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, maps: Sequence[Any]) -> Any:
        return unit_range(sum(maps) / len(maps))

    def compute_output_shape(self, maps_shapes: Sequence[tuple]) -> tuple:
        return maps_shapes[0]
