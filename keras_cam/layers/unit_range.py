"""Maps in [0, 1]."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_cam.ops.affinity import unit_range


@keras.saving.register_keras_serializable("keras_cam")
class UnitRange(keras.layers.Layer):
    """The mean of maps, stretched from 0 to 1; if that is constant, 0.

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
