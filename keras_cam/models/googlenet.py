"""GoogLeNet and GoogLeNet-GAP, without the auxiliary classifiers.

References:
    Szegedy et al.: Going Deeper with Convolutions, CVPR 2015, table 1, in the form of Caffe's
    `bvlc_googlenet`.
    Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016, section 3.
"""

import functools

import keras

from keras_cam.layers.local_response_normalization import LocalResponseNormalization
from keras_cam.models.heads import cam_convolution, gap_classifier

# Filters of the branches: 1x1 | 3x3 reduce, 3x3 | 5x5 reduce, 5x5 | pool projection.
INCEPTION_FILTERS = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}
POOLED_BEFORE = {"inception_4a": "pool3", "inception_5a": "pool4"}

# Caffe rounds the size of a pooled map up, which is what "same" padding does here.
_conv = functools.partial(keras.layers.Conv2D, padding="same", activation="relu")
_pool = functools.partial(keras.layers.MaxPooling2D, 3, padding="same")


def _stem(images: keras.KerasTensor) -> keras.KerasTensor:
    """Everything before the first inception block: (batch, h, w, 3) -> (batch, h / 8, w / 8, 192)."""
    # Caffe pads the image by 3 on all sides; "same" would pad the left and the top by 2.
    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(images)
    x = keras.layers.Conv2D(64, 7, strides=2, activation="relu", name="conv1")(x)
    x = _pool(strides=2, name="pool1")(x)
    x = LocalResponseNormalization(name="norm1")(x)
    x = _conv(64, 1, name="conv2_reduce")(x)
    x = _conv(192, 3, name="conv2")(x)
    x = LocalResponseNormalization(name="norm2")(x)
    return _pool(strides=2, name="pool2")(x)


def _inception(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Four parallel branches, concatenated under the block's name."""
    conv1x1, reduce3x3, conv3x3, reduce5x5, conv5x5, projection = INCEPTION_FILTERS[name]
    by_1x1 = _conv(conv1x1, 1, name=f"{name}_1x1")(x)
    by_3x3 = _conv(reduce3x3, 1, name=f"{name}_3x3_reduce")(x)
    by_3x3 = _conv(conv3x3, 3, name=f"{name}_3x3")(by_3x3)
    by_5x5 = _conv(reduce5x5, 1, name=f"{name}_5x5_reduce")(x)
    by_5x5 = _conv(conv5x5, 5, name=f"{name}_5x5")(by_5x5)
    by_pool = _pool(strides=1, name=f"{name}_pool")(x)
    by_pool = _conv(projection, 1, name=f"{name}_pool_proj")(by_pool)
    return keras.layers.Concatenate(name=name)([by_1x1, by_3x3, by_5x5, by_pool])


def googlenet_convolutions(images: keras.KerasTensor, until: str = "inception_5b") -> keras.KerasTensor:
    """The convolutions of GoogLeNet up to and including the block `until`.

    Args:
        images: Normalized images of any size, (batch, height, width, 3).
        until: A key of `INCEPTION_FILTERS`.

    Returns:
        For images of 224x224, (batch, 14, 14, 832) until "inception_4e", (batch, 7, 7, 1024) until
        "inception_5b".

    Raises:
        ValueError: There is no such block.
    """
    if until not in INCEPTION_FILTERS:
        raise ValueError(f"`until` must be one of {tuple(INCEPTION_FILTERS)}. Received: until={until!r}")
    x = _stem(images)
    for name in INCEPTION_FILTERS:
        if name in POOLED_BEFORE:
            x = _pool(strides=2, name=POOLED_BEFORE[name])(x)
        x = _inception(x, name)
        if name == until:
            break
    return x


def googlenet(images: keras.KerasTensor, classes: int, dropout: float = 0.4) -> keras.KerasTensor:
    """The original, which ends in global average pooling by itself: 6,998,552 parameters for 1000 classes.

    Args:
        images: Normalized images of any size, (batch, height, width, 3).
        classes: Number of classes.
        dropout: Dropout rate of the pooled features.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 7x7 for images of 224x224.
    """
    return gap_classifier(googlenet_convolutions(images), classes, dropout=dropout)


def googlenet_gap(
    images: keras.KerasTensor,
    classes: int,
    pooling: str = "avg",
    head_filters: int = 1024,
    head_groups: int = 1,
    dropout: float = 0.5,
) -> keras.KerasTensor:
    """GoogLeNet-GAP: cut after `inception_4e` for finer maps, then the CAM convolution and classifier.

    Args:
        images: Normalized images of any size, (batch, height, width, 3).
        classes: Number of classes.
        pooling: "avg", or "max" for the paper's GoogLeNet-GMP.
        head_filters: Number of maps of the CAM convolution.
        head_groups: Its channel groups.
        dropout: Dropout rate of the pooled features.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 14x14 for images of 224x224.
    """
    backbone = googlenet_convolutions(images, until="inception_4e")
    features = cam_convolution(backbone, head_filters, head_groups)
    return gap_classifier(features, classes, pooling, dropout)
