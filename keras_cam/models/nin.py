"""Network in Network for ImageNet: the classifier is a convolution, one map for each class.

Reference:
    Lin, Chen, Yan: Network In Network, ICLR 2014, in the form of the authors' `nin_imagenet` for Caffe.
"""

import functools

import keras

from keras_cam.models.heads import global_pooling

# Filters, kernel size, stride and padding of the convolution that opens each of the first three blocks.
BLOCKS = ((96, 11, 4, "valid"), (256, 5, 1, "same"), (384, 3, 1, "same"))

_conv = functools.partial(keras.layers.Conv2D, activation="relu")


def nin_gap(
    images: keras.KerasTensor, classes: int, pooling: str = "avg", dropout: float = 0.5
) -> keras.KerasTensor:
    """Network in Network: 7,595,176 parameters for 1000 classes.

    There is no linear layer after the pooling. The layer `head` is a 1x1 convolution with a ReLU, as in the
    published network: its output is the class activation maps, and their means are the logits, which are
    never negative. Its input is the layer `features` (`cccp7` in the release).

    Args:
        images: Normalized images of any size, (batch, height, width, 3).
        classes: Number of classes.
        pooling: "avg" (the original) or "max".
        dropout: Dropout rate of the activations before the last block.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 6x6 for images of 227x227.

    Raises:
        ValueError: `pooling` is neither "avg" nor "max".
    """
    x = images
    for index, (filters, kernel_size, stride, padding) in enumerate(BLOCKS, start=1):
        x = _conv(filters, kernel_size, strides=stride, padding=padding, name=f"conv{index}")(x)
        x = _conv(filters, 1, name=f"cccp{2 * index - 1}")(x)
        x = _conv(filters, 1, name=f"cccp{2 * index}")(x)
        x = keras.layers.MaxPooling2D(3, 2, name=f"pool{index}")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = _conv(1024, 3, padding="same", name="conv4")(x)
    features = _conv(1024, 1, name="features")(x)
    maps = _conv(classes, 1, dtype="float32", name="head")(features)
    return global_pooling(maps, pooling)
