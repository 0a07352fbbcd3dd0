"""Convolution, normalization and pooling as torch computes them."""

import keras


def convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    name: str,
    strides: int = 1,
    groups: int = 1,
    use_bias: bool = False,
    activation: str | None = None,
) -> keras.KerasTensor:
    """A convolution padded by half of its kernel on every side.

    Args:
        x: (batch, height, width, channels).
        filters: Number of maps.
        kernel_size: Height and width of the kernel, odd.
        name: Of the layer.
        strides: In both directions.
        groups: Channel groups; as many as channels for a depthwise convolution.
        use_bias: Whether there is a bias.
        activation: What Keras calls it.

    Returns:
        (batch, ceil(height / strides), ceil(width / strides), filters).
    """
    padding = "same" if strides == 1 else "valid"
    if strides > 1 and kernel_size > 1:
        # With a stride, "same" would pad the bottom and the right more than the top and the left.
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}.pad")(x)
    if 1 < groups == filters == x.shape[-1]:
        return keras.layers.DepthwiseConv2D(
            kernel_size, strides, padding, use_bias=use_bias, activation=activation, name=name
        )(x)
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding,
        groups=groups,
        use_bias=use_bias,
        activation=activation,
        name=name,
    )(x)


def normalization(
    x: keras.KerasTensor, name: str, activation: str | None = None, epsilon: float = 1e-5
) -> keras.KerasTensor:
    """Batch normalization, then an activation if there is one."""
    x = keras.layers.BatchNormalization(epsilon=epsilon, momentum=0.9, name=name)(x)
    return x if activation is None else keras.layers.Activation(activation, name=f"{name}.{activation}")(x)


def max_pooling(
    x: keras.KerasTensor, name: str, pool_size: int = 3, rounds_up: bool = False
) -> keras.KerasTensor:
    """Max pooling of stride 2 over maps that are not negative, so that padding with zeros changes nothing.

    Args:
        x: (batch, height, width, channels), after a ReLU.
        name: Of the layer.
        pool_size: 2 or 3.
        rounds_up: Whether a window may end outside of the map instead of beginning outside of it.

    Returns:
        The pooled maps.
    """
    if rounds_up:
        x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}.pad")(x)
    elif pool_size == 3:
        x = keras.layers.ZeroPadding2D(1, name=f"{name}.pad")(x)
    return keras.layers.MaxPooling2D(pool_size, 2, name=name)(x)
