"""A localizer as named functions of tensors: what every exported file is made from.

TensorFlow itself is used here for `tf.function`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from keras_cam.export.decode_images import decode_images
from keras_cam.graph.cursor import sources_of
from keras_cam.images import input_size_hw
from keras_cam.labels import class_names_of
from keras_cam.localizer import check_localizer


@dataclass(frozen=True)
class Signatures:
    """What an exported localizer can be asked, and what there is to know about it.

    Attributes:
        localizer: the model that the functions share their weights with.
        functions: by name, `tf.function`s with a signature, whose outputs are dicts:

            - `localize`: `images` (B, H, W, 3), RGB in 0..255; all that the localizer returns.
            - `localize_bytes`: `image_bytes` (B,) string, encoded JPEG, PNG, GIF or BMP; the same.
            - `classify`: `images`; `logits` and `probabilities`, (B, N) float32.
            - `cam`: `images` and `class_ids` (B, K) int32; `class_activation_maps` (B, K, h, w) float32.
        size_hw: the height and width of the images; those that images of any size are resized to.
        labels: the names of the N classes.
    """

    localizer: keras.Model
    functions: dict[str, Any]
    size_hw: tuple[int, int]
    labels: tuple[str, ...]

    @property
    def classes(self) -> int:
        """How many classes the localizer tells apart."""
        return len(self.labels)


def build_signatures(
    localizer: keras.Model,
    labels: Sequence[str] | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int | None = None,
) -> Signatures:
    """Make the functions that an exported localizer consists of.

    Args:
        localizer: a model as `keras_cam.build_localizer` makes it, with images as its only input.
        labels: the names of all classes. By default those that the localizer carries, else ImageNet's for
            1000 classes, else their numbers.
        image_size: (height, width) of the images, for a localizer that takes any. By default its images stay
            of any size, and encoded ones are resized to 224 x 224.
        batch_size: int, for a format that has only fixed shapes. By default any.

    Returns:
        The functions. Nothing is traced yet: `function.get_concrete_function()` does that.

    Raises:
        ValueError: `localizer` is none, or `labels` or `image_size` do not fit it.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=3, input_shape=(64, 64, 3))
        >>> signatures = build_signatures(keras_cam.build_localizer(model), ["cat", "dog", "bird"])
        >>> signatures.functions["classify"](tf.zeros((2, 64, 64, 3)))["logits"].shape, signatures.size_hw
        (TensorShape([2, 3]), (64, 64))
    """
    check_localizer(localizer)
    images = localizer.inputs[0]
    scores, head = localizer.get_layer("scores"), localizer.get_layer("class_activation_head")
    backbone = keras.Model(images, features_of(localizer))
    classifier = keras.Model(backbone.output, {"logits": scores.input, "probabilities": scores.output})
    height, width = _image_size(images.shape[1:3], image_size)
    size_hw = input_size_hw((None, height, width, 3))

    pixels = tf.TensorSpec((batch_size, height, width, 3), images.dtype, name="images")
    encoded = tf.TensorSpec((batch_size,), tf.string, name="image_bytes")
    asked = tf.TensorSpec((batch_size, None), tf.int32, name="class_ids")

    @tf.function(input_signature=[pixels])
    def localize(images: Any) -> dict[str, Any]:
        with plain_operations():
            return localizer(images, training=False)

    # A function that two others call is traced once, and in the file once.
    @tf.function(input_signature=[encoded])
    def localize_bytes(image_bytes: Any) -> dict[str, Any]:
        images, is_image = decode_images(image_bytes, size_hw)
        outputs = localize(tf.cast(images, pixels.dtype))
        return {name: _where(is_image, rows) for name, rows in outputs.items()}

    @tf.function(input_signature=[pixels])
    def features(images: Any) -> Any:
        with plain_operations():
            return backbone(images, training=False)

    @tf.function(input_signature=[pixels])
    def classify(images: Any) -> dict[str, Any]:
        return classifier(features(images), training=False)

    @tf.function(input_signature=[pixels, asked])
    def cam(images: Any, class_ids: Any) -> dict[str, Any]:
        return {"class_activation_maps": head(features(images), class_ids)}

    functions = {
        "localize": localize,
        "localize_bytes": localize_bytes,
        "classify": classify,
        "cam": cam,
    }
    return Signatures(localizer, functions, size_hw, _labels(localizer, labels, scores.output.shape[-1]))


@contextmanager
def plain_operations() -> Iterator[None]:
    """Within it, functions that are part of a model are traced as the operations they consist of.

    Keras has XLA compile convolutions in groups, which no other runtime can do and TensorFlow need not.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def features_of(localizer: keras.Model) -> Any:
    """The KerasTensor that a localizer's classifier is called on."""
    head = localizer.get_layer("class_activation_head")
    tensor = localizer.get_layer("scores").input
    while tensor._keras_history.operation is not head:  # the layer that names the classes
        [tensor] = sources_of(tensor)
    return sources_of(tensor)[0]


def _image_size(own: Sequence[int | None], asked: tuple[int, int] | None) -> tuple[int | None, int | None]:
    height, width = own
    if asked is None:
        return height, width
    if len(asked) != 2 or any(
        size < 1 or mine not in (None, size) for mine, size in zip(own, asked, strict=True)
    ):
        raise ValueError(
            f"`image_size` must be (height, width), and the localizer takes {tuple(own)}. "
            f"Received: image_size={asked!r}"
        )
    return asked


def _labels(localizer: keras.Model, labels: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    names = tuple(labels or class_names_of(localizer, classes))
    if len(names) != classes:
        raise ValueError(
            f"`labels` must name the {classes} classes of the localizer. Received: {len(names)} names"
        )
    return names


def _where(is_image: Any, rows: Any) -> Any:
    """The rows of the images, zeros in the others."""
    mask = tf.reshape(is_image, [-1] + [1] * (len(rows.shape) - 1))
    return tf.where(mask, rows, tf.zeros((), rows.dtype))
