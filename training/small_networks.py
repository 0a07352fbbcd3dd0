"""Small versions of the paper's networks for images of 64x64 pixels, with few filters.

Their maps are 8x8. As in the paper, the last convolutions are removed, and a 3x3 convolution, global pooling
and one linear layer follow.
"""

import functools

import keras

from keras_cam.layers import PixelNormalization
from keras_cam.models.heads import cam_convolution, gap_classifier

# A quarter of GoogLeNet's filters: 1x1 | 3x3 reduce, 3x3 | 5x5 reduce, 5x5 | pool projection.
INCEPTION_FILTERS = {
    "inception_3": (16, 24, 32, 4, 8, 8),
    "inception_4a": (48, 24, 52, 4, 12, 16),
    "inception_4e": (64, 40, 80, 8, 32, 32),
}
VGG_BLOCKS = ((16, 1), (32, 1), (64, 2), (128, 2))

_conv = functools.partial(
    keras.layers.Conv2D, padding="same", activation="relu", kernel_initializer="he_normal"
)


def small_alexnet(
    classes: int,
    input_shape: tuple[int, int, int] | None = None,
    pooling: str = "avg",
    head_filters: int = 128,
    dropout: float = 0.0,
) -> keras.Model:
    """AlexNet: five convolutions, the first with large kernels."""
    images, x = _images(input_shape)
    x = _conv(32, 7, strides=2, name="conv1")(x)
    x = keras.layers.MaxPooling2D(2, name="pool1")(x)
    x = _conv(64, 5, name="conv2")(x)
    x = keras.layers.MaxPooling2D(2, name="pool2")(x)
    for index, filters in ((3, 96), (4, 96), (5, 64)):
        x = _conv(filters, 3, name=f"conv{index}")(x)
    return _classifier(images, x, classes, pooling, head_filters, dropout, "small_alexnet")


def small_vgg(
    classes: int,
    input_shape: tuple[int, int, int] | None = None,
    pooling: str = "avg",
    head_filters: int = 128,
    dropout: float = 0.0,
) -> keras.Model:
    """VGG: blocks of 3x3 convolutions with pooling between them."""
    images, x = _images(input_shape)
    for block, (filters, convolutions) in enumerate(VGG_BLOCKS, start=1):
        for index in range(1, convolutions + 1):
            x = _conv(filters, 3, name=f"block{block}_conv{index}")(x)
        if block < len(VGG_BLOCKS):
            x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return _classifier(images, x, classes, pooling, head_filters, dropout, "small_vgg")


def small_googlenet(
    classes: int,
    input_shape: tuple[int, int, int] | None = None,
    pooling: str = "avg",
    head_filters: int = 128,
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> keras.Model:
    """GoogLeNet: three inception blocks; `batch_norm` adds batch normalization after each convolution."""
    images, x = _images(input_shape)
    x = _unit(x, 32, 5, "conv1", batch_norm, strides=2)
    x = keras.layers.MaxPooling2D(2, name="pool1")(x)
    x = _unit(x, 48, 3, "conv2", batch_norm)
    for name, filters in INCEPTION_FILTERS.items():
        if name == "inception_4a":
            x = keras.layers.MaxPooling2D(2, name="pool3")(x)
        x = _inception(x, name, filters, batch_norm)
    return _classifier(images, x, classes, pooling, head_filters, dropout, "small_googlenet")


def small_googlenet_bn(
    classes: int,
    input_shape: tuple[int, int, int] | None = None,
    pooling: str = "avg",
    head_filters: int = 128,
    dropout: float = 0.0,
) -> keras.Model:
    """`small_googlenet` with batch normalization."""
    return small_googlenet(classes, input_shape, pooling, head_filters, dropout, batch_norm=True)


def _images(input_shape: tuple[int, int, int] | None) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    images = keras.Input(input_shape or (64, 64, 3), name="images")
    return images, PixelNormalization(127.5, 63.75, name="normalization")(images)


def _unit(
    x: keras.KerasTensor, filters: int, kernel_size: int, name: str, batch_norm: bool, strides: int = 1
) -> keras.KerasTensor:
    if not batch_norm:
        return _conv(filters, kernel_size, strides=strides, name=name)(x)
    x = _conv(filters, kernel_size, strides=strides, activation=None, use_bias=False, name=name)(x)
    x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _inception(
    x: keras.KerasTensor, name: str, filters: tuple[int, ...], batch_norm: bool
) -> keras.KerasTensor:
    conv1x1, reduce3x3, conv3x3, reduce5x5, conv5x5, projection = filters
    by_1x1 = _unit(x, conv1x1, 1, f"{name}_1x1", batch_norm)
    by_3x3 = _unit(x, reduce3x3, 1, f"{name}_3x3_reduce", batch_norm)
    by_3x3 = _unit(by_3x3, conv3x3, 3, f"{name}_3x3", batch_norm)
    by_5x5 = _unit(x, reduce5x5, 1, f"{name}_5x5_reduce", batch_norm)
    by_5x5 = _unit(by_5x5, conv5x5, 5, f"{name}_5x5", batch_norm)
    by_pool = keras.layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    by_pool = _unit(by_pool, projection, 1, f"{name}_pool_proj", batch_norm)
    return keras.layers.Concatenate(name=name)([by_1x1, by_3x3, by_5x5, by_pool])


def _classifier(
    images: keras.KerasTensor,
    x: keras.KerasTensor,
    classes: int,
    pooling: str,
    head_filters: int,
    dropout: float,
    name: str,
) -> keras.Model:
    features = cam_convolution(x, head_filters)
    return keras.Model(images, gap_classifier(features, classes, pooling, dropout), name=name)
