"""VGG with the convolutions of torchvision, with and without batch normalization, and the head of the paper.

References:
    Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015.
    Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016, section 3.
"""

import keras

from keras_cam.models.heads import cam_convolution, gap_classifier
from keras_cam.models.torchvision.layers import convolution, normalization

# Convolutions of each of the five blocks.
VARIANTS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_FILTERS = (64, 128, 256, 512, 512)


def vgg_gap(
    images: keras.KerasTensor,
    classes: int,
    variant: str,
    batch_norm: bool = False,
    pooling: str = "avg",
    head_filters: int = 1024,
    head_groups: int = 1,
    dropout: float = 0.5,
) -> keras.KerasTensor:
    """VGG-GAP: all convolutions without the last pooling, then the CAM convolution and a linear classifier.

    Args:
        images: Normalized images, (batch, height, width, 3).
        classes: Number of classes.
        variant: A key of `VARIANTS`.
        batch_norm: Whether each convolution is followed by batch normalization.
        pooling: "avg" or "max".
        head_filters: Number of maps of the CAM convolution.
        head_groups: Its channel groups.
        dropout: Dropout rate of the pooled features.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 14x14 for images of 224x224.
    """
    x, index = images, 0  # torchvision counts convolutions, normalizations, activations and poolings
    for block, (count, filters) in enumerate(zip(VARIANTS[variant], _FILTERS, strict=True)):
        if block:
            x = keras.layers.MaxPooling2D(2, name=f"features.{index}")(x)
            index += 1
        for _ in range(count):
            activation = None if batch_norm else "relu"
            x = convolution(x, filters, 3, f"features.{index}", use_bias=True, activation=activation)
            if batch_norm:
                x = normalization(x, f"features.{index + 1}", "relu")
            index += 3 if batch_norm else 2
    return gap_classifier(cam_convolution(x, head_filters, head_groups), classes, pooling, dropout)
