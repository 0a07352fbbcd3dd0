"""EfficientNet as torchvision has it.

Reference:
    Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019.
"""

import math

import keras

from keras_cam.models.channels import round_channels
from keras_cam.models.efficientnet_lite import STAGES
from keras_cam.models.heads import backbone_classifier
from keras_cam.models.torchvision.layers import convolution, normalization
from keras_cam.models.torchvision.squeeze_excitation import squeeze_excitation

# Factors of the filters and of the repeats, and what is added to a variance.
VARIANTS = {
    "b0": (1.0, 1.0, 1e-5),
    "b1": (1.0, 1.1, 1e-5),
    "b2": (1.1, 1.2, 1e-5),
    "b3": (1.2, 1.4, 1e-5),
    "b4": (1.4, 1.8, 1e-5),
    "b5": (1.6, 2.2, 1e-3),
    "b6": (1.8, 2.6, 1e-3),
    "b7": (2.0, 3.1, 1e-3),
}


def efficientnet(
    images: keras.KerasTensor,
    classes: int,
    variant: str,
    pooling: str = "avg",
    dropout: float = 0.2,
    output_stride: int | None = None,
) -> keras.KerasTensor:
    """EfficientNet with its linear classifier over global average pooling.

    Args:
        images: Normalized images, (batch, height, width, 3).
        classes: Number of classes.
        variant: A key of `VARIANTS`.
        pooling: "avg" or "max".
        dropout: Dropout rate of the pooled features.
        output_stride: 32, 16 or 8, see `keras_cam.graph.dilation.dilate`.

    Returns:
        Logits, (batch, classes), float32.
    """
    width, depth, epsilon = VARIANTS[variant]
    inputs = keras.Input(images.shape[1:])
    x = _convolution(inputs, round_channels(32 * width), 3, "features.0", epsilon, strides=2)
    for stage, (kernel_size, repeats, filters, expansion, stride) in enumerate(STAGES, start=1):
        for repeat in range(math.ceil(repeats * depth)):
            name, strides = f"features.{stage}.{repeat}", stride if repeat == 0 else 1
            x = _block(x, kernel_size, round_channels(filters * width), expansion, strides, name, epsilon)
    x = _convolution(x, 4 * round_channels(320 * width), 1, f"features.{len(STAGES) + 1}", epsilon)
    return backbone_classifier(keras.Model(inputs, x), images, classes, pooling, dropout, output_stride)


def _block(
    x: keras.KerasTensor,
    kernel_size: int,
    filters: int,
    expansion: int,
    strides: int,
    name: str,
    epsilon: float,
) -> keras.KerasTensor:
    """Inverted residual: expand, convolve each channel, weight the channels, project."""
    shortcut, channels, step = x, x.shape[-1], 0
    expanded = channels * expansion
    if expansion > 1:
        x = _convolution(x, expanded, 1, f"{name}.block.0", epsilon)
        step = 1
    x = _convolution(x, expanded, kernel_size, f"{name}.block.{step}", epsilon, strides, expanded)
    x = squeeze_excitation(x, max(1, channels // 4), f"{name}.block.{step + 1}", "silu", "sigmoid")
    x = convolution(x, filters, 1, f"{name}.block.{step + 2}.0")
    x = normalization(x, f"{name}.block.{step + 2}.1", epsilon=epsilon)
    if strides == 1 and channels == filters:
        x = keras.layers.Add(name=f"{name}.add")([shortcut, x])
    return x


def _convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    name: str,
    epsilon: float,
    strides: int = 1,
    groups: int = 1,
) -> keras.KerasTensor:
    x = convolution(x, filters, kernel_size, f"{name}.0", strides, groups)
    return normalization(x, f"{name}.1", "silu", epsilon)
