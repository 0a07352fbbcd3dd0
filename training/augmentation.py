"""Random changes of training images by Keras layers, reproducible from one number for each image.

Keras' layers count their random draws in a variable. A pipeline that reads ahead changes the variable before
its step, so a run that goes on from a checkpoint would get other numbers. Here each image has a number that
determines all its changes. TensorFlow itself is used because this runs inside of `tf.data`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_cam.training.config import Augmentation
from keras_cam.training.hide_and_seek import HideAndSeek


class NumberedSeeds(keras.random.SeedGenerator):
    """A sequence of seeds that is determined by a number.

    Args:
        number: an integer tensor.

    Examples:
        >>> seeds = NumberedSeeds(tf.constant(7))
        >>> seeds.next().numpy().tolist(), seeds.next().numpy().tolist()
        ([7, 0], [7, 1])
    """

    def __init__(self, number: Any) -> None:
        # Not calling the base class, which would create a variable for the state.
        self._number = number
        self._drawn = 0

    def next(self, ordered: bool = True) -> Any:
        """The next seed."""
        seed = tf.stack([tf.cast(self._number, "int32"), self._drawn])
        self._drawn += 1
        return seed


def image_layers(augmentation: Augmentation) -> list[keras.layers.Layer]:
    """The layers that change the pixels of single images; crops and mirroring are done while reading.

    References:
        Howard, 2013, arXiv:1312.5402 (colours); `keras_cam.training.hide_and_seek`.
    """
    layers: list[keras.layers.Layer] = []
    if augmentation.color:
        layers.append(keras.layers.RandomBrightness(augmentation.color / 2))
        layers.append(keras.layers.RandomContrast(augmentation.color))
        half = augmentation.color / 2
        # `value_range` is the range of the saturation, 0..1 for pixels of any range.
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
    """Change images (B, H, W, 3), float32 in 0..255, each as determined by its number (B,)."""

    def augment(one: tuple[Any, Any]) -> Any:
        image, seeds = one[0][None], NumberedSeeds(one[1])
        for layer in layers:
            image = layer.transform_images(image, layer.get_random_transformation(image, seed=seeds))
        return image[0]

    return tf.map_fn(augment, (images, numbers), fn_output_signature=images.dtype)


def mix_batch(layer: keras.layers.Layer, images: Any, labels: Any, number: Any) -> tuple[Any, Any]:
    """Mix the images and labels of a batch, as determined by the number."""
    transformation = layer.get_random_transformation(images, seed=NumberedSeeds(number))
    return layer.transform_images(images, transformation), layer.transform_labels(labels, transformation)
