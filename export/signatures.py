"""The signatures of a localizer, from which every exported file is made.

Uses TensorFlow directly for `tf.function`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from keras_cam.export.decode_images import decode_images
from keras_cam.export.plain_operations import plain_operations
from keras_cam.graph.localizer_parts import localizer_parts
from keras_cam.graph.looks import split_looks
from keras_cam.layers.localizer_model import maps_layer
from keras_cam.localizer import check_localizer, image_size_hw
from keras_cam.models.labels import class_names, labels_of
from keras_cam.ops.class_ranks import classes_of_ranks


@dataclass(frozen=True)
class Signatures:
    """The signatures of an exported localizer, with its image size and class names.

    Attributes:
        localizer: the model whose weights the functions share.
        functions: by name, `tf.function`s with an input signature, which return dicts:

            - `localize`: from `images` (B, H, W, C), for 3 channels RGB in 0..255, to all outputs of the
              localizer.
            - `localize_bytes`, for 1 or 3 channels: from `image_bytes` (B,) string, encoded JPEG, PNG, GIF or
              BMP, to the same.
            - `classify`: from `images` to `logits` and `probabilities`, (B, N) float32.
            - `cam`: from `images` and `class_ids` (B, K) int32 to `class_activation_maps` (B, K, h, w)
              float32; `localization_maps` (B, K, h', w') float32, if the localizer refines maps;
              `detection_boxes` (B, K, 4) float32, zeros if a class has no box; and `logits` (B, N) float32.
              Of `class_ids`, -1 is the best class of the image, -2 the second best, and so on.
        size_hw: the height and width of the images; `localize_bytes` resizes images to it.
        labels: the names of the N classes.
        maps: how the maps are made, as JSON, see `keras_cam.inference.localizer.maps_in_file`.
    """

    localizer: keras.Model
    functions: dict[str, Any]
    size_hw: tuple[int, int]
    labels: tuple[str, ...]
    maps: str


def build_signatures(
    localizer: keras.Model,
    labels: Sequence[str] | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int | None = None,
) -> Signatures:
    """Build the signatures of an exported localizer.

    Args:
        localizer: a model from `keras_cam.build_localizer` with images as its only input.
        labels: the names of all classes. None: the names saved in the localizer, else ImageNet's for 1000
            classes, else the class indices.
        image_size: (height, width) of the images, for a localizer that takes any size. None: `images` of any
            size; `image_bytes` are resized to 320 x 320 if the localizer refines maps, else to 224 x 224.
        batch_size: int, for formats with fixed shapes. None: any size.

    Returns:
        The signatures. The functions are not traced yet; `function.get_concrete_function()` traces one.

    Raises:
        ValueError: `localizer` is not a localizer, the number of `labels` is not the number of classes, or
            `image_size` is not a size that the localizer takes.

    Examples:
        >>> import keras_cam
        >>> layers = [keras.layers.Conv2D(8, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
        >>> signatures = build_signatures(keras_cam.build_localizer(model), ["cat", "dog", "bird"])
        >>> signatures.functions["classify"](tf.zeros((2, 32, 32, 3)))["logits"].shape, signatures.size_hw
        (TensorShape([2, 3]), (32, 32))
    """
    check_localizer(localizer)
    images = localizer.inputs[0]
    channels = images.shape[-1]
    height, width = _image_size(images.shape[1:3], image_size)
    default = image_size_hw(localizer)
    size_hw = (height or default[0], width or default[1])
    front, back = localizer_parts(localizer)

    pixels = tf.TensorSpec((batch_size, height, width, channels), images.dtype, name="images")
    localize = _localize(localizer, pixels)
    functions = {"localize": localize}
    if channels in (1, 3):  # other images have no common encoding
        functions["localize_bytes"] = _localize_bytes(localizer, localize, pixels, size_hw)
    functions |= _classify_and_cam(front, back, pixels)

    names = class_names(front.output["logits"].shape[-1], labels, labels_of(localizer))
    made = maps_layer(localizer)
    maps = json.dumps({"map_kind": made.map_kind, "map_method": made.map_method})
    return Signatures(localizer, functions, size_hw, names, maps)


def _localize(localizer: keras.Model, pixels: tf.TensorSpec) -> Any:
    @tf.function(input_signature=[pixels])
    def localize(images: Any) -> dict[str, Any]:
        with plain_operations():
            return localizer(images, training=False)

    return localize


def _localize_bytes(
    localizer: keras.Model, localize: Any, pixels: tf.TensorSpec, size_hw: tuple[int, int]
) -> Any:
    """`localize` of decoded images; a second look sees the photos themselves, not these small images."""
    batch_size, *_, channels = pixels.shape
    looks = split_looks(localizer)

    def look(images: Any, image_bytes: Any) -> dict[str, Any]:
        if looks is None:
            return localize(images)
        first, second = looks
        with plain_operations():
            found = first(images, training=False)
        count = tf.shape(found["windows"])[1]
        windows = tf.reshape(found["windows"], (-1, 4))
        crops, _ = decode_images(tf.repeat(image_bytes, count), size_hw, channels, windows)
        with plain_operations():
            return second([crops, *found["tensors"]], training=False)

    # A function called by two others is traced once and stored once in the file.
    @tf.function(input_signature=[tf.TensorSpec((batch_size,), tf.string, name="image_bytes")])
    def localize_bytes(image_bytes: Any) -> dict[str, Any]:
        images, is_image = decode_images(image_bytes, size_hw, channels)
        outputs = look(tf.cast(images, pixels.dtype), image_bytes)
        return {name: _where(is_image, rows) for name, rows in outputs.items()}

    return localize_bytes


def _classify_and_cam(front: keras.Model, back: keras.Model, pixels: tf.TensorSpec) -> dict[str, Any]:
    """The signatures made from the two `localizer_parts`."""

    @tf.function(input_signature=[pixels])
    def classified(images: Any) -> dict[str, Any]:
        with plain_operations():
            return front(images, training=False)

    @tf.function(input_signature=[pixels])
    def classify(images: Any) -> dict[str, Any]:
        found = classified(images)
        return {name: found[name] for name in ("logits", "probabilities")}

    @tf.function(input_signature=[pixels, tf.TensorSpec((pixels.shape[0], None), tf.int32, name="class_ids")])
    def cam(images: Any, class_ids: Any) -> dict[str, Any]:
        found = classified(images)
        asked = classes_of_ranks(class_ids, found["logits"])
        with plain_operations():
            return {**back([asked, *found["tensors"]], training=False), "logits": found["logits"]}

    return {"classify": classify, "cam": cam}


def check_rgb(localizer: keras.Model, target: str) -> None:
    """Raise a `ValueError` if a localizer takes other than RGB images, for a target that has no others."""
    channels = localizer.inputs[0].shape[-1]
    if channels != 3:
        raise ValueError(
            f"`localizer` must take RGB images for {target}. Received: one of images with {channels} channels"
        )


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


def _where(is_image: Any, rows: Any) -> Any:
    """The rows of decoded images; zeros for the others."""
    mask = tf.reshape(is_image, [-1] + [1] * (len(rows.shape) - 1))
    return tf.where(mask, rows, tf.zeros((), rows.dtype))
