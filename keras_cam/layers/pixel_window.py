"""A window of values: what is below is black, what is above is white."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cam")
class PixelWindow(keras.layers.Layer):
    """Cuts values to `low`..`high` and scales this range to the one that a network takes.

    Args:
        window: `(low, high)`, the values that become black and white.
        pixel_range: the values of black and white that the network takes.
        channels: int, the channels that the network takes; grey values are repeated for each of them. None:
            as many as the images have.

    Input shape:
        Images (B, H, W, C) of any numbers.

    Output shape:
        float32 (B, H, W, C); with `channels`, (B, H, W, channels) for C = 1.

    Examples:
        >>> import numpy as np
        >>> grey = np.array([0.0, 1000.0, 2000.0, 65535.0]).reshape(1, 1, 4, 1)
        >>> PixelWindow((1000, 3000))(grey).numpy().ravel().tolist()
        [0.0, 0.0, 127.5, 255.0]
        >>> PixelWindow((1000, 3000), channels=3)(grey).shape
        TensorShape([1, 1, 4, 3])
    """

    def __init__(
        self,
        window: Sequence[float],
        pixel_range: Sequence[float] = (0.0, 255.0),
        channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if len(window) != 2 or not window[0] < window[1]:
            raise ValueError(f"`window` must be (low, high) with low < high. Received: window={window!r}")
        self.window, self.pixel_range = tuple(map(float, window)), tuple(map(float, pixel_range))
        self.channels = channels

    def call(self, pixels: Any) -> Any:
        (low, high), (black, white) = self.window, self.pixel_range
        part = ops.clip((ops.cast(pixels, "float32") - low) / (high - low), 0.0, 1.0)
        scaled = part * (white - black) + black
        return scaled if self.channels is None else ops.repeat(scaled, self.channels, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        *others, channels = input_shape
        return (*others, channels if self.channels is None else self.channels)

    def get_config(self) -> dict[str, Any]:
        config = {"window": self.window, "pixel_range": self.pixel_range, "channels": self.channels}
        return {**super().get_config(), **config}
