"""Pixel normalization: from 0..255 to the input range of a pretrained network."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cam")
class PixelNormalization(keras.layers.Layer):
    """Computes `(pixels - mean) / scale` in the channel order of the network.

    As a layer, normalization is part of the model. It computes in float32 for any precision policy, because
    half precision cannot represent 255 levels around a mean.

    Args:
        mean: float or three floats, in RGB order.
        scale: float or three floats, in RGB order.
        channel_order: "rgb" or "bgr", the order that the network expects.

    Input shape:
        RGB pixels in 0..255 (B, H, W, 3).

    Output shape:
        float32 (B, H, W, 3).

    Examples:
        >>> import numpy as np
        >>> normalization = PixelNormalization(mean=(1.0, 2.0, 3.0), channel_order="bgr")
        >>> normalization(np.array([[[[11.0, 22.0, 33.0]]]])).numpy().ravel().tolist()
        [30.0, 20.0, 10.0]
    """

    def __init__(
        self,
        mean: float | Sequence[float] = 0.0,
        scale: float | Sequence[float] = 1.0,
        channel_order: str = "rgb",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if channel_order not in ("rgb", "bgr"):
            raise ValueError(
                f'`channel_order` must be "rgb" or "bgr". Received: channel_order={channel_order!r}'
            )
        self.mean = mean if isinstance(mean, float | int) else tuple(mean)
        self.scale = scale if isinstance(scale, float | int) else tuple(scale)
        self.channel_order = channel_order

    def call(self, pixels: Any) -> Any:
        mean = ops.convert_to_tensor(self.mean, "float32")
        scale = ops.convert_to_tensor(self.scale, "float32")
        normalized = (ops.cast(pixels, "float32") - mean) / scale
        return ops.flip(normalized, axis=-1) if self.channel_order == "bgr" else normalized

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {"mean": self.mean, "scale": self.scale, "channel_order": self.channel_order}
        return {**super().get_config(), **config}
