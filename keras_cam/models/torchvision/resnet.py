"""ResNet as torchvision has it: the second convolution of a bottleneck has the stride.

Reference:
    He et al.: Deep Residual Learning for Image Recognition, CVPR 2016.
"""

import keras

from keras_cam.models.heads import backbone_classifier
from keras_cam.models.torchvision.layers import (
    convolution,
    max_pooling,
    normalization,
)

# Blocks of each of the four stages, and whether they are bottlenecks.
VARIANTS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}


def resnet(
    images: keras.KerasTensor,
    classes: int,
    variant: str,
    pooling: str = "avg",
    dropout: float = 0.0,
    output_stride: int | None = None,
) -> keras.KerasTensor:
    """ResNet with its linear classifier over global average pooling.

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
    stages, is_bottleneck = VARIANTS[variant]
    inputs = keras.Input(images.shape[1:])
    x = convolution(inputs, 64, 7, "conv1", strides=2)
    x = max_pooling(normalization(x, "bn1", "relu"), "maxpool")
    for stage, blocks in enumerate(stages, start=1):
        for block in range(blocks):
            strides = 2 if stage > 1 and block == 0 else 1
            x = _block(x, 32 * 2**stage, strides, f"layer{stage}.{block}", is_bottleneck)
    return backbone_classifier(keras.Model(inputs, x), images, classes, pooling, dropout, output_stride)


def _block(
    x: keras.KerasTensor, filters: int, strides: int, name: str, is_bottleneck: bool
) -> keras.KerasTensor:
    outputs = 4 * filters if is_bottleneck else filters
    plan = [(filters, 3, strides), (filters, 3, 1)]
    if is_bottleneck:
        plan = [(filters, 1, 1), (filters, 3, strides), (outputs, 1, 1)]
    shortcut = x
    if strides > 1 or x.shape[-1] != outputs:
        shortcut = convolution(x, outputs, 1, f"{name}.downsample.0", strides)
        shortcut = normalization(shortcut, f"{name}.downsample.1")
    for index, (width, kernel_size, stride) in enumerate(plan, start=1):
        x = convolution(x, width, kernel_size, f"{name}.conv{index}", stride)
        x = normalization(x, f"{name}.bn{index}", "relu" if index < len(plan) else None)
    x = keras.layers.Add(name=f"{name}.add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}.relu")(x)
