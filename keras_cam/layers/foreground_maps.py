"""Maps combined with a foreground map."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_cam.ops.affinity import unit_range


@keras.saving.register_keras_serializable("keras_cam")
class ForegroundMaps(keras.layers.Layer):
    """The geometric mean of maps and a foreground map, rescaled to the range from 0 to 1.

    Input shape:
        A list of two: maps (B, K, h, w) in [0, 1], and foreground probabilities (B, h, w, 1) in [0, 1].

    Output shape:
        float32 (B, K, h, w).

    Examples:
        >>> import numpy as np
        >>> maps, foreground = np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.5, 0.25])
        >>> maps, foreground = maps.reshape(1, 1, 1, 3), foreground.reshape(1, 1, 3, 1)
        >>> ForegroundMaps()([maps, foreground]).numpy().ravel().tolist()
        [0.0, 1.0, 1.0]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs: Sequence[Any]) -> Any:
        maps, foreground = inputs
        return unit_range(ops.sqrt(maps * ops.transpose(foreground, (0, 3, 1, 2))))

    def compute_output_shape(self, shapes: Sequence[tuple]) -> tuple:
        return shapes[0]
