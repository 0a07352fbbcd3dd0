"""Squeeze and excitation: channels weighted by what the whole map says."""

import keras

from keras_cam.models.torchvision.layers import convolution


def squeeze_excitation(
    x: keras.KerasTensor, squeezed: int, name: str, activation: str, gate: str
) -> keras.KerasTensor:
    """Multiply each channel by a factor that two 1x1 convolutions compute from the means of all channels.

    Args:
        x: (batch, height, width, channels).
        squeezed: Channels between the two convolutions.
        name: Of the block; its convolutions are `<name>.fc1` and `<name>.fc2`.
        activation: After the first one.
        gate: After the second one.

    Returns:
        The same shape as `x`.

    Reference:
        Hu et al.: Squeeze-and-Excitation Networks, CVPR 2018.
    """
    means = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.avgpool")(x)
    factors = convolution(means, squeezed, 1, f"{name}.fc1", use_bias=True, activation=activation)
    factors = convolution(factors, x.shape[-1], 1, f"{name}.fc2", use_bias=True, activation=gate)
    return keras.layers.Multiply(name=f"{name}.multiply")([x, factors])
