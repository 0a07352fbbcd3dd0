"""DenseNet as torchvision has it.

Reference:
    Huang et al.: Densely Connected Convolutional Networks, CVPR 2017.
"""

import keras

from keras_cam.models.heads import backbone_classifier
from keras_cam.models.torchvision.layers import (
    convolution,
    max_pooling,
    normalization,
)

# Filters of the first convolution, filters that each layer adds, layers of each of the four blocks.
VARIANTS = {
    "densenet121": (64, 32, (6, 12, 24, 16)),
    "densenet161": (96, 48, (6, 12, 36, 24)),
    "densenet169": (64, 32, (6, 12, 32, 32)),
    "densenet201": (64, 32, (6, 12, 48, 32)),
}


def densenet(
    images: keras.KerasTensor,
    classes: int,
    variant: str,
    pooling: str = "avg",
    dropout: float = 0.0,
    output_stride: int | None = None,
) -> keras.KerasTensor:
    """DenseNet with its linear classifier over global average pooling.

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
    filters, growth, blocks = VARIANTS[variant]
    inputs = keras.Input(images.shape[1:])
    x = convolution(inputs, filters, 7, "features.conv0", strides=2)
    x = max_pooling(normalization(x, "features.norm0", "relu"), "features.pool0")
    for block, layers in enumerate(blocks, start=1):
        for layer in range(1, layers + 1):
            x = _dense_layer(x, growth, f"features.denseblock{block}.denselayer{layer}")
        if block < len(blocks):
            x = _transition(x, f"features.transition{block}")
    x = normalization(x, "features.norm5", "relu")
    return backbone_classifier(keras.Model(inputs, x), images, classes, pooling, dropout, output_stride)


def _dense_layer(x: keras.KerasTensor, growth: int, name: str) -> keras.KerasTensor:
    added = normalization(x, f"{name}.norm1", "relu")
    added = convolution(added, 4 * growth, 1, f"{name}.conv1")
    added = normalization(added, f"{name}.norm2", "relu")
    added = convolution(added, growth, 3, f"{name}.conv2")
    return keras.layers.Concatenate(name=f"{name}.concat")([x, added])


def _transition(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = normalization(x, f"{name}.norm", "relu")
    x = convolution(x, x.shape[-1] // 2, 1, f"{name}.conv")
    return keras.layers.AveragePooling2D(2, name=f"{name}.pool")(x)
