"""GoogLeNet as torchvision has it: with batch normalization, and 3x3 convolutions in place of 5x5.

References:
    Szegedy et al.: Going Deeper with Convolutions, CVPR 2015, table 1.
    Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016, section 3.
"""

import keras

from keras_cam.models.googlenet import INCEPTION_FILTERS
from keras_cam.models.heads import cam_convolution, gap_classifier
from keras_cam.models.torchvision.layers import convolution, max_pooling, normalization


def googlenet(images: keras.KerasTensor, classes: int, dropout: float = 0.2) -> keras.KerasTensor:
    """The original, which ends in global average pooling by itself.

    Args:
        images: Normalized images, (batch, height, width, 3).
        classes: Number of classes.
        dropout: Dropout rate of the pooled features.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 7x7 for images of 224x224.
    """
    return gap_classifier(_convolutions(images, "inception_5b"), classes, dropout=dropout)


def googlenet_gap(
    images: keras.KerasTensor,
    classes: int,
    pooling: str = "avg",
    head_filters: int = 1024,
    head_groups: int = 1,
    dropout: float = 0.5,
) -> keras.KerasTensor:
    """GoogLeNet-GAP: cut after `inception4e`, then the CAM convolution and a linear classifier.

    Args:
        images: Normalized images, (batch, height, width, 3).
        classes: Number of classes.
        pooling: "avg" or "max".
        head_filters: Number of maps of the CAM convolution.
        head_groups: Its channel groups.
        dropout: Dropout rate of the pooled features.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 14x14 for images of 224x224.
    """
    features = cam_convolution(_convolutions(images, "inception_4e"), head_filters, head_groups)
    return gap_classifier(features, classes, pooling, dropout)


def _convolutions(images: keras.KerasTensor, until: str) -> keras.KerasTensor:
    x = max_pooling(_convolution(images, 64, 7, "conv1", strides=2), "maxpool1", rounds_up=True)
    x = _convolution(_convolution(x, 64, 1, "conv2"), 192, 3, "conv3")
    x = max_pooling(x, "maxpool2", rounds_up=True)
    for name in INCEPTION_FILTERS:
        if name == "inception_4a":
            x = max_pooling(x, "maxpool3", rounds_up=True)
        if name == "inception_5a":
            x = max_pooling(x, "maxpool4", pool_size=2, rounds_up=True)
        x = _inception(x, name)
        if name == until:
            break
    return x


def _inception(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Four parallel branches, concatenated under the block's name."""
    conv1x1, reduce3x3, conv3x3, reduce5x5, conv5x5, projection = INCEPTION_FILTERS[name]
    name = name.replace("_", "")
    by_1x1 = _convolution(x, conv1x1, 1, f"{name}.branch1")
    by_3x3 = _convolution(x, reduce3x3, 1, f"{name}.branch2.0")
    by_3x3 = _convolution(by_3x3, conv3x3, 3, f"{name}.branch2.1")
    by_5x5 = _convolution(x, reduce5x5, 1, f"{name}.branch3.0")
    by_5x5 = _convolution(by_5x5, conv5x5, 3, f"{name}.branch3.1")
    by_pool = keras.layers.MaxPooling2D(3, 1, padding="same", name=f"{name}.branch4.0")(x)
    by_pool = _convolution(by_pool, projection, 1, f"{name}.branch4.1")
    return keras.layers.Concatenate(name=name)([by_1x1, by_3x3, by_5x5, by_pool])


def _convolution(
    x: keras.KerasTensor, filters: int, kernel_size: int, name: str, strides: int = 1
) -> keras.KerasTensor:
    x = convolution(x, filters, kernel_size, f"{name}.conv", strides)
    return normalization(x, f"{name}.bn", "relu", epsilon=1e-3)
