"""Local response normalization, as in AlexNet and GoogLeNet."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("keras_cam")
class LocalResponseNormalization(keras.layers.Layer):
    """Normalizes every activation by the sum of squares over neighbouring channels.

    For channel `i`, at each position separately:

    `y_i = x_i / (bias + alpha * sum_j x_j ** 2) ** beta`, where `|j - i| <= depth_radius`

    Channels beyond the first and the last count as zero. Caffe divides its `alpha` by the window size
    `n = 2 * depth_radius + 1`; this layer does not: Caffe's `local_size: 5, alpha: 0.0001` is
    `depth_radius=2, alpha=2e-5` here, the default.

    The squares are summed in float32 for any dtype policy: in float16, the square of 256 overflows.

    Args:
        depth_radius: Number of neighbouring channels on each side.
        bias: Constant added to the scaled sum, to avoid division by zero.
        alpha: Factor of the sum of squares.
        beta: Exponent of the denominator.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`

    Output shape:
        The same as the input's, in the layer's compute dtype.

    Raises:
        ValueError: `depth_radius` is not an integer >= 0.

    Examples:
        Two channels, each divided by the root of their sum of squares, 3² + 4² = 5²:

        >>> import numpy as np
        >>> layer = LocalResponseNormalization(depth_radius=1, bias=0.0, alpha=1.0, beta=0.5)
        >>> print(np.round(layer(np.array([[[[3.0, 4.0]]]])), 4))
        [[[[0.6 0.8]]]]

    Reference:
        Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural
        Networks, NIPS 2012, section 3.3.
    """

    def __init__(
        self,
        depth_radius: int = 2,
        bias: float = 1.0,
        alpha: float = 1e-4 / 5,
        beta: float = 0.75,
        **kwargs: Any,
    ) -> None:
        if not isinstance(depth_radius, int) or depth_radius < 0:
            raise ValueError(
                f"`depth_radius` must be an integer >= 0. Received: depth_radius={depth_radius!r}"
            )
        super().__init__(**kwargs)
        self.depth_radius = depth_radius
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs: Any) -> Any:
        """Normalizes `inputs` of shape (batch, height, width, channels)."""
        # `keras.ops` has no such operation; LiteRT has a builtin for TensorFlow's.
        import tensorflow as tf

        outputs = tf.nn.local_response_normalization(
            keras.ops.cast(inputs, "float32"), self.depth_radius, self.bias, self.alpha, self.beta
        )
        return keras.ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `input_shape` unchanged."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "depth_radius": self.depth_radius,
            "bias": self.bias,
            "alpha": self.alpha,
            "beta": self.beta,
        }
