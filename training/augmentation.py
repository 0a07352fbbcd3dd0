"""Random changes of training images by Keras layers, whose chance is that of a number alone.

Keras' layers count their draws in a variable, which a pipeline that reads ahead moves before a step needs it:
after a restart other numbers would follow. Here each image has a number from which all that happens to it
follows. TensorFlow itself is used because this runs inside of `tf.data`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_cam.training.config import Augmentation
from keras_cam.training.hide_and_seek import HideAndSeek


class NumberedSeeds(keras.random.SeedGenerator):
    """Seeds that follow from a number: the same number, the same seeds.

    Args:
        number: an integer tensor.

    Examples:
        >>> seeds = NumberedSeeds(tf.constant(7))
        >>> seeds.next().numpy().tolist(), seeds.next().numpy().tolist()
        ([7, 0], [7, 1])
    """

    def __init__(self, number: Any) -> None:
        # Without the variable of the base class: there is no state.
        self._number = number
        self._drawn = 0

    def next(self, ordered: bool = True) -> Any:
        """The next seed."""
        seed = tf.stack([tf.cast(self._number, "int32"), self._drawn])
        self._drawn += 1
        return seed


def image_layers(augmentation: Augmentation) -> list[keras.layers.Layer]:
    """The layers that change the pixels of each image on its own; crops and mirroring come with reading.

    References:
        Howard, 2013, arXiv:1312.5402 (colours); `keras_cam.training.hide_and_seek`.
    """
    layers: list[keras.layers.Layer] = []
    if augmentation.color:
        layers.append(keras.layers.RandomBrightness(augmentation.color / 2))
        layers.append(keras.layers.RandomContrast(augmentation.color))
        half = augmentation.color / 2
        # Its range is that of the saturation, which is 0..1 whatever that of the pixels is.
        layers.append(keras.layers.RandomSaturation((0.5 - half, 0.5 + half), value_range=(0, 1)))
    if augmentation.hide:
        layers.append(HideAndSeek(augmentation.hide, augmentation.hide_grid))
    return layers


def batch_layer(augmentation: Augmentation) -> keras.layers.Layer | None:
    """The layer that mixes the images of a batch, if any.

    References:
        Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
        Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
        ICCV 2019.
    """
    if augmentation.mixup:
        return keras.layers.MixUp(augmentation.mixup)
    return keras.layers.CutMix(augmentation.cutmix) if augmentation.cutmix else None


def augment_images(layers: Sequence[keras.layers.Layer], images: Any, numbers: Any) -> Any:
    """Images (B, H, W, 3), float32 in 0..255, each changed by the layers as its number (B,) wants it."""

    def augment(one: tuple[Any, Any]) -> Any:
        image, seeds = one[0][None], NumberedSeeds(one[1])
        for layer in layers:
            image = layer.transform_images(image, layer.get_random_transformation(image, seed=seeds))
        return image[0]

    return tf.map_fn(augment, (images, numbers), fn_output_signature=images.dtype)


def mix_batch(layer: keras.layers.Layer, images: Any, labels: Any, number: Any) -> tuple[Any, Any]:
    """The images and labels of a batch, mixed as the number wants it."""
    transformation = layer.get_random_transformation(images, seed=NumberedSeeds(number))
    return layer.transform_images(images, transformation), layer.transform_labels(labels, transformation)
