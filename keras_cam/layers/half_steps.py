"""Maps of twice the resolution: a stage of stride 2 is also applied to shifted copies of its input."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cam")
class HalfSteps(keras.layers.Layer):
    """Shifts features by one position vertically, horizontally and both, and stacks the three on the batch.

    On shifted features, a network stage of stride 2 computes the outputs at the positions that it otherwise
    skips; `InterleavedMaps` merges these with the outputs on the original features. Unlike dilation, this
    does not change the network. Border values are repeated.

    Args:
        phase: 0 or 1, the position of each pair on which the stage's windows are centred. Features shift
            towards it: up and left for 0, down and right for 1.

    Input shape:
        (B, h, w, C).

    Output shape:
        (3 * B, h, w, C).

    Examples:
        >>> import numpy as np
        >>> row = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
        >>> HalfSteps(phase=1)(row).numpy()[1].ravel().tolist()
        [1.0, 1.0, 2.0]
    """

    def __init__(self, phase: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.phase = _checked(phase)

    def call(self, features: Any) -> Any:
        down, right = self._moved(features, 1), self._moved(features, 2)
        return ops.concatenate([down, right, self._moved(down, 2)], axis=0)

    def _moved(self, features: Any, axis: int) -> Any:
        rows = features if axis == 1 else ops.swapaxes(features, 1, 2)
        parts = [rows[:, :1], rows[:, :-1]] if self.phase else [rows[:, 1:], rows[:, -1:]]
        moved = ops.concatenate(parts, axis=1)
        return moved if axis == 1 else ops.swapaxes(moved, 1, 2)

    def compute_output_shape(self, features_shape: Any) -> tuple:
        batch, *others = features_shape
        return (None if batch is None else 3 * batch, *others)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "phase": self.phase}


@keras.saving.register_keras_serializable("keras_cam")
class InterleavedMaps(keras.layers.Layer):
    """Interleaves the maps of features and of their `HalfSteps`.

    Args:
        phase: 0 or 1, as in `HalfSteps`.

    Input shape:
        maps (B, K, h, w), the maps of the half steps (3 * B, K, h, w), and the input of `HalfSteps`
        (B, H, W, C).

    Output shape:
        (B, K, 2 * h, 2 * w), cropped to H and W if these are smaller.

    Examples:
        >>> import numpy as np
        >>> maps, steps = np.full((1, 1, 1, 1), 4.0), np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1)
        >>> InterleavedMaps(phase=1)(maps, steps, np.zeros((1, 2, 2, 5))).numpy()[0, 0].tolist()
        [[3.0, 1.0], [2.0, 4.0]]
    """

    def __init__(self, phase: int = 0, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.phase = _checked(phase)

    def call(self, maps: Any, half_steps: Any, features: Any) -> Any:
        down, right, both = ops.split(half_steps, 3, axis=0)
        batch, classes, height, width = ops.shape(maps)
        order = slice(None, None, -1 if self.phase else 1)
        rows = [
            ops.reshape(ops.stack(pair[order], axis=-1), (batch, classes, height, 2 * width))
            for pair in ([maps, right], [down, both])
        ]
        fine = ops.reshape(ops.stack(rows[order], axis=3), (batch, classes, 2 * height, 2 * width))
        return fine[:, :, : ops.shape(features)[1], : ops.shape(features)[2]]

    def compute_output_shape(self, maps_shape: Any, half_steps_shape: Any, features_shape: Any) -> tuple:
        sizes = zip(maps_shape[2:], features_shape[1:3], strict=True)
        return (*maps_shape[:2], *(None if None in pair else min(2 * pair[0], pair[1]) for pair in sizes))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "phase": self.phase}


def _checked(phase: int) -> int:
    if phase not in (0, 1):
        raise ValueError(f"`phase` must be 0 or 1. Received: phase={phase!r}")
    return phase
