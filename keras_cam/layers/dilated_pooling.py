"""Dilated pooling: stride 1, with gaps between the positions of a window."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cam")
class DilatedPooling2D(keras.layers.Layer):
    """Maximum or average over a dilated window, with stride 1.

    It replaces a strided pooling in a dilated network and gives the same values at the positions of the
    strided pooling.

    Args:
        pool_size: (height, width) of the window.
        dilation_rate: int, the distance between the positions in a window.
        reduction: "max" or "average". Positions beyond the border are ignored.
        padding: "same" keeps the size of the input; "valid" uses only windows inside the input.

    Input shape:
        (B, h, w, C).

    Output shape:
        (B, h, w, C); for "valid", h and w are smaller by `(pool_size - 1) * dilation_rate`.

    Examples:
        >>> import numpy as np
        >>> row = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 4, 1)
        >>> DilatedPooling2D((1, 3), 2, "average")(row).numpy().ravel().tolist()
        [2.0, 3.0, 2.0, 3.0]
    """

    def __init__(
        self,
        pool_size: tuple[int, int],
        dilation_rate: int = 1,
        reduction: str = "max",
        padding: str = "same",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if reduction not in ("max", "average"):
            raise ValueError(f'`reduction` must be "max" or "average". Received: reduction={reduction!r}')
        self.pool_size = tuple(pool_size)
        self.dilation_rate = dilation_rate
        self.reduction = reduction
        self.padding = padding

    def call(self, inputs: Any) -> Any:
        if self.reduction == "max":
            lowest = -65504.0 if self.compute_dtype == "float16" else -3e38
            return self._reduce(inputs, ops.maximum, lowest)
        counted = self._reduce(ops.ones_like(inputs[:1, :, :, :1]), ops.add, 0.0)
        return self._reduce(inputs, ops.add, 0.0) / counted

    def _reduce(self, inputs: Any, combine: Any, fill: float) -> Any:
        (height, width), rate = self.pool_size, self.dilation_rate
        if self.padding == "same":
            before = [(size - 1) // 2 * rate for size in self.pool_size]
            after = [size // 2 * rate for size in self.pool_size]
            inputs = ops.pad(
                inputs,
                ((0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)),
                constant_values=fill,
            )
        rows = ops.shape(inputs)[1] - (height - 1) * rate
        columns = ops.shape(inputs)[2] - (width - 1) * rate
        result = None
        for y in range(0, height * rate, rate):
            for x in range(0, width * rate, rate):
                window = inputs[:, y : y + rows, x : x + columns]
                result = window if result is None else combine(result, window)
        return result

    def compute_output_shape(self, input_shape: Any) -> tuple:
        if self.padding == "same":
            return tuple(input_shape)
        batch, *sizes, channels = input_shape
        lost = [(size - 1) * self.dilation_rate for size in self.pool_size]
        return (batch, *(s if s is None else s - d for s, d in zip(sizes, lost, strict=True)), channels)

    def get_config(self) -> dict[str, Any]:
        config = {
            "pool_size": self.pool_size,
            "dilation_rate": self.dilation_rate,
            "reduction": self.reduction,
            "padding": self.padding,
        }
        return {**super().get_config(), **config}
