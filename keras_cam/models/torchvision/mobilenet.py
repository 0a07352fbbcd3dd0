"""MobileNetV2 and MobileNetV3 as torchvision has them.

References:
    Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018.
    Howard et al.: Searching for MobileNetV3, ICCV 2019.
"""

import keras

from keras_cam.models.channels import round_channels
from keras_cam.models.heads import backbone_classifier
from keras_cam.models.torchvision.layers import convolution, normalization
from keras_cam.models.torchvision.squeeze_excitation import squeeze_excitation

# Expansion, filters, repeats, stride of the stages of MobileNetV2.
V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

# Kernel size, expanded channels, filters, squeeze and excitation, activation, stride of the blocks.
V3_BLOCKS = {
    "small": (
        (3, 16, 16, True, "relu", 2),
        (3, 72, 24, False, "relu", 2),
        (3, 88, 24, False, "relu", 1),
        (5, 96, 40, True, "hard_swish", 2),
        (5, 240, 40, True, "hard_swish", 1),
        (5, 240, 40, True, "hard_swish", 1),
        (5, 120, 48, True, "hard_swish", 1),
        (5, 144, 48, True, "hard_swish", 1),
        (5, 288, 96, True, "hard_swish", 2),
        (5, 576, 96, True, "hard_swish", 1),
        (5, 576, 96, True, "hard_swish", 1),
    ),
    "large": (
        (3, 16, 16, False, "relu", 1),
        (3, 64, 24, False, "relu", 2),
        (3, 72, 24, False, "relu", 1),
        (5, 72, 40, True, "relu", 2),
        (5, 120, 40, True, "relu", 1),
        (5, 120, 40, True, "relu", 1),
        (3, 240, 80, False, "hard_swish", 2),
        (3, 200, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 480, 112, True, "hard_swish", 1),
        (3, 672, 112, True, "hard_swish", 1),
        (5, 672, 160, True, "hard_swish", 2),
        (5, 960, 160, True, "hard_swish", 1),
        (5, 960, 160, True, "hard_swish", 1),
    ),
}


def mobilenet_v2(
    images: keras.KerasTensor,
    classes: int,
    pooling: str = "avg",
    dropout: float = 0.2,
    output_stride: int | None = None,
) -> keras.KerasTensor:
    """MobileNetV2 with its linear classifier over global average pooling.

    Args:
        images: Normalized images, (batch, height, width, 3).
        classes: Number of classes.
        pooling: "avg" or "max".
        dropout: Dropout rate of the pooled features.
        output_stride: 32, 16 or 8, see `keras_cam.graph.dilation.dilate`.

    Returns:
        Logits, (batch, classes), float32.
    """
    inputs = keras.Input(images.shape[1:])
    x = normalization(convolution(inputs, 32, 3, "features.0.0", 2), "features.0.1", "relu6")
    index = 1
    for expansion, filters, repeats, stride in V2_STAGES:
        for repeat in range(repeats):
            x = _v2_block(x, expansion, filters, stride if repeat == 0 else 1, f"features.{index}")
            index += 1
    x = convolution(x, 1280, 1, f"features.{index}.0")
    x = normalization(x, f"features.{index}.1", "relu6")
    return backbone_classifier(keras.Model(inputs, x), images, classes, pooling, dropout, output_stride)


def _v2_block(
    x: keras.KerasTensor, expansion: int, filters: int, strides: int, name: str
) -> keras.KerasTensor:
    """Inverted residual: expand, convolve each channel, project."""
    shortcut, expanded, step = x, x.shape[-1] * expansion, 0
    if expansion > 1:
        x = convolution(x, expanded, 1, f"{name}.conv.0.0")
        x = normalization(x, f"{name}.conv.0.1", "relu6")
        step = 1
    x = convolution(x, expanded, 3, f"{name}.conv.{step}.0", strides, groups=expanded)
    x = normalization(x, f"{name}.conv.{step}.1", "relu6")
    x = normalization(convolution(x, filters, 1, f"{name}.conv.{step + 1}"), f"{name}.conv.{step + 2}")
    if strides == 1 and shortcut.shape[-1] == filters:
        x = keras.layers.Add(name=f"{name}.add")([shortcut, x])
    return x


def mobilenet_v3(
    images: keras.KerasTensor,
    classes: int,
    variant: str,
    pooling: str = "avg",
    dropout: float = 0.2,
    output_stride: int | None = None,
) -> keras.KerasTensor:
    """The convolutions of MobileNetV3 with a linear classifier over global pooling.

    The original has a hidden layer with a nonlinearity between the pooling and the classifier, so it has no
    exact map.

    Args:
        images: Normalized images, (batch, height, width, 3).
        classes: Number of classes.
        variant: A key of `V3_BLOCKS`.
        pooling: "avg" or "max".
        dropout: Dropout rate of the pooled features.
        output_stride: 32, 16 or 8, see `keras_cam.graph.dilation.dilate`.

    Returns:
        Logits, (batch, classes), float32.
    """
    inputs = keras.Input(images.shape[1:])
    x = _v3_convolution(inputs, 16, 3, "features.0", "hard_swish", strides=2)
    for index, block in enumerate(V3_BLOCKS[variant], start=1):
        x = _v3_block(x, *block, name=f"features.{index}")
    x = _v3_convolution(x, 6 * x.shape[-1], 1, f"features.{len(V3_BLOCKS[variant]) + 1}", "hard_swish")
    return backbone_classifier(keras.Model(inputs, x), images, classes, pooling, dropout, output_stride)


def _v3_block(
    x: keras.KerasTensor,
    kernel_size: int,
    expanded: int,
    filters: int,
    squeezes: bool,
    activation: str,
    strides: int,
    name: str,
) -> keras.KerasTensor:
    shortcut, channels, step = x, x.shape[-1], 0
    if expanded != channels:
        x = _v3_convolution(x, expanded, 1, f"{name}.block.0", activation)
        step = 1
    x = _v3_convolution(x, expanded, kernel_size, f"{name}.block.{step}", activation, strides, expanded)
    if squeezes:
        step += 1
        squeezed = round_channels(expanded / 4)
        x = squeeze_excitation(x, squeezed, f"{name}.block.{step}", "relu", "hard_sigmoid")
    x = _v3_convolution(x, filters, 1, f"{name}.block.{step + 1}")
    if strides == 1 and channels == filters:
        x = keras.layers.Add(name=f"{name}.add")([shortcut, x])
    return x


def _v3_convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    name: str,
    activation: str | None = None,
    strides: int = 1,
    groups: int = 1,
) -> keras.KerasTensor:
    x = convolution(x, filters, kernel_size, f"{name}.0", strides, groups)
    return normalization(x, f"{name}.1", activation, epsilon=1e-3)
