"""AlexNet, AlexNet-GAP and AlexNet*-GAP.

References:
    Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks,
    NIPS 2012, in the one-GPU form of Caffe's `bvlc_alexnet`.
    Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016, section 3 and the
    released `alexnetplusCAM_imagenet`.
"""

import functools

import keras

from keras_cam.layers.local_response_normalization import LocalResponseNormalization
from keras_cam.models.heads import cam_convolution, fully_connected_classifier, gap_classifier

_conv = functools.partial(keras.layers.Conv2D, activation="relu")


def _normalize_and_pool(x: keras.KerasTensor, index: int, pool_first: bool) -> keras.KerasTensor:
    layers = [
        LocalResponseNormalization(name=f"norm{index}"),
        keras.layers.MaxPooling2D(3, 2, name=f"pool{index}"),
    ]
    for layer in reversed(layers) if pool_first else layers:
        x = layer(x)
    return x


def alexnet_convolutions(
    images: keras.KerasTensor, conv5_filters: int = 256, pool_first: bool = False
) -> keras.KerasTensor:
    """The five convolutions of AlexNet, up to the ReLU of `conv5`.

    conv2, conv4 and conv5 have two groups of channels, as in the published weights: in 2012 each half was
    computed on a GPU of its own.

    Args:
        images: Normalized images, (batch, height, width, 3); the original size is 227x227.
        conv5_filters: Number of maps of `conv5`.
        pool_first: Pool before the local response normalization, as Caffe's reference net does. The
            original normalizes first.

    Returns:
        (batch, height, width, conv5_filters); 13x13 for images of 227x227.
    """
    x = _conv(96, 11, strides=4, name="conv1")(images)
    x = _normalize_and_pool(x, 1, pool_first)
    x = _conv(256, 5, padding="same", groups=2, name="conv2")(x)
    x = _normalize_and_pool(x, 2, pool_first)
    x = _conv(384, 3, padding="same", name="conv3")(x)
    x = _conv(384, 3, padding="same", groups=2, name="conv4")(x)
    return _conv(conv5_filters, 3, padding="same", groups=2, name="conv5")(x)


def alexnet(images: keras.KerasTensor, classes: int, dropout: float = 0.5) -> keras.KerasTensor:
    """The original, with fully connected layers: 60,965,224 parameters for 1000 classes at 227x227.

    Args:
        images: Normalized images of a fixed size, (batch, height, width, 3).
        classes: Number of classes.
        dropout: Dropout rate of the units of `fc6` and `fc7`.

    Returns:
        Logits, (batch, classes), float32.
    """
    x = keras.layers.MaxPooling2D(3, 2, name="pool5")(alexnet_convolutions(images))
    return fully_connected_classifier(x, classes, names=("fc6", "fc7"), dropout=dropout)


def alexnet_gap(
    images: keras.KerasTensor,
    classes: int,
    pooling: str = "avg",
    head_filters: int = 1024,
    head_groups: int = 1,
    dropout: float = 0.0,
) -> keras.KerasTensor:
    """AlexNet-GAP: cut after `conv5`, then the CAM convolution and a pooled linear classifier.

    Args:
        images: Normalized images of any size, (batch, height, width, 3).
        classes: Number of classes.
        pooling: "avg" or "max".
        head_filters: Number of maps of the CAM convolution.
        head_groups: Its channel groups.
        dropout: Dropout rate of the pooled features.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 13x13 for images of 227x227.
    """
    features = cam_convolution(alexnet_convolutions(images), head_filters, head_groups)
    return gap_classifier(features, classes, pooling, dropout)


def alexnet_star_gap(
    images: keras.KerasTensor, classes: int, pooling: str = "avg", dropout: float = 0.5
) -> keras.KerasTensor:
    """AlexNet*-GAP: AlexNet-GAP with two more convolutions, which replace the fully connected layers.

    As released: pooling before each normalization, 384 maps in `conv5`, two groups in each new
    convolution. The second of them (`conv7` in the release) is the layer `features`.

    Args:
        images: Normalized images of any size, (batch, height, width, 3).
        classes: Number of classes.
        pooling: "avg" or "max".
        dropout: Dropout rate of the pooled features.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 11x11 for images of 227x227.
    """
    x = alexnet_convolutions(images, conv5_filters=384, pool_first=True)
    x = keras.layers.MaxPooling2D(3, 1, name="pool5")(x)
    x = _conv(512, 3, padding="same", groups=2, name="conv6")(x)
    features = cam_convolution(x, filters=512, groups=2)
    return gap_classifier(features, classes, pooling, dropout)
