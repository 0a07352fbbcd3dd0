"""AlexNet with the convolutions of torchvision, and the head of the paper.

References:
    Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014.
    Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016, section 3.
"""

import keras

from keras_cam.models.heads import cam_convolution, gap_classifier
from keras_cam.models.torchvision.layers import convolution


def alexnet_gap(
    images: keras.KerasTensor,
    classes: int,
    pooling: str = "avg",
    head_filters: int = 1024,
    head_groups: int = 1,
    dropout: float = 0.0,
) -> keras.KerasTensor:
    """AlexNet-GAP on the AlexNet of 2014: no groups, no response normalization, fewer filters.

    Args:
        images: Normalized images, (batch, height, width, 3).
        classes: Number of classes.
        pooling: "avg" or "max".
        head_filters: Number of maps of the CAM convolution.
        head_groups: Its channel groups.
        dropout: Dropout rate of the pooled features.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 13x13 for images of 224x224.
    """
    x = keras.layers.ZeroPadding2D(2, name="features.0.pad")(images)
    x = keras.layers.Conv2D(64, 11, 4, activation="relu", name="features.0")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="features.2")(x)
    x = convolution(x, 192, 5, "features.3", use_bias=True, activation="relu")
    x = keras.layers.MaxPooling2D(3, 2, name="features.5")(x)
    for index, filters in ((6, 384), (8, 256), (10, 256)):
        x = convolution(x, filters, 3, f"features.{index}", use_bias=True, activation="relu")
    return gap_classifier(cam_convolution(x, head_filters, head_groups), classes, pooling, dropout)
