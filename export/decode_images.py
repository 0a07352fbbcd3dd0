"""Encoded images to pixels, inside the graph, as `keras_cam.images.read_image` gives them in Python.

TensorFlow itself is used here for its decoders, and for `tf.data`, which gets over errors.
"""

from typing import Any

import tensorflow as tf


def decode_images(image_bytes: Any, size_hw: tuple[int, int]) -> tuple[Any, Any]:
    """Decode images of any size and resize each as a whole.

    Args:
        image_bytes: string tensor (B,), encoded JPEG, PNG, GIF (of which the first frame counts) or BMP.
        size_hw: the height and width they get.

    Returns:
        `(images, is_image)`: float32 (B, height, width, 3), RGB in 0..255, zeros for what cannot be decoded;
        bool (B,), whether it could.

    Example:

    >>> png = tf.io.encode_png(tf.fill((2, 4, 3), tf.constant(200, tf.uint8)))
    >>> images, is_image = decode_images(tf.stack([png, "no image"]), (6, 6))
    >>> images[:, 0, 0, 0].numpy().tolist(), is_image.numpy().tolist()
    ([200.0, 0.0], [True, False])
    """

    def decode(encoded: Any) -> tuple[Any, Any]:
        photo = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        photo.set_shape((None, None, 3))
        # As `keras_cam.data.image_batches` does it.
        pixels = tf.image.resize(photo, size_hw, method="bicubic", antialias=True)
        return tf.clip_by_value(pixels, 0.0, 255.0), True

    def decode_or_not(encoded: Any) -> tuple[Any, Any]:
        # An operation that fails takes the whole graph along, unless it runs inside of a data set.
        decoded = tf.data.Dataset.from_tensors(encoded).map(decode).ignore_errors()
        nothing = tf.data.Dataset.from_tensors((tf.zeros((*size_hw, 3)), False))
        return decoded.concatenate(nothing).take(1).get_single_element()

    outputs = (tf.TensorSpec((*size_hw, 3), tf.float32), tf.TensorSpec((), tf.bool))
    return tf.map_fn(decode_or_not, image_bytes, fn_output_signature=outputs)
