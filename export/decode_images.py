"""Decoding images inside a TensorFlow graph, with the results of `keras_cam.images.files.read_image`.

Uses TensorFlow directly for its decoders, and for `tf.data`, which can ignore errors.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_cam.export.exif_orientation import exif_orientation
from keras_cam.images.files import MAX_PIXELS


def decode_images(
    image_bytes: Any, size_hw: tuple[int, int], channels: int = 3, window: Any = None
) -> tuple[Any, Any]:
    """Decode images of any size and resize each without cropping.

    The pixels are those of `keras_cam.images.files.read_image`: transparent PNGs are composited over white,
    images of more than `MAX_PIXELS` pixels are not decoded. Two differences: transparent pixels of GIFs are
    black, and an EXIF orientation is applied only if the image is a JPEG.

    Args:
        image_bytes: string tensor (B,), encoded JPEG, PNG, GIF (the first frame is used) or BMP of 8, 24 or
            32 bits.
        size_hw: the height and width of the result.
        channels: 3, RGB; or 1, grey: luma in 0..255, or the values of PNGs with 16 bits of grey.
        window: float32 (B, 4), the part of each image to resize, as ymin, xmin, ymax, xmax in [0, 1]; None:
            all of it.

    Returns:
        `(images, is_image)`: float32 (B, height, width, channels), zeros for images that cannot be
        decoded; bool (B,), whether each image was decoded.

    Examples:
        >>> png = tf.io.encode_png(tf.fill((2, 4, 3), tf.constant(200, tf.uint8)))
        >>> images, is_image = decode_images(tf.stack([png, "no image"]), (6, 6))
        >>> images[:, 0, 0, 0].numpy().tolist(), is_image.numpy().tolist()
        ([200.0, 0.0], [True, False])
    """

    def pixels(encoded: Any, window: Any) -> tuple[Any, Any]:
        # The same interpolation as `keras_cam.images.resize`.
        photo, low, high = _decode(encoded), 0.0, 255.0
        if channels == 1:
            photo, low, high = _decode_grey(encoded)
        resized = _resized(photo, size_hw, window)
        return tf.clip_by_value(resized, low, high), True

    if window is None:
        window = tf.tile([[0.0, 0.0, 1.0, 1.0]], (tf.size(image_bytes), 1))
    return tf.map_fn(
        lambda image: _or_else(pixels, image, (tf.zeros((*size_hw, channels)), False)),
        (image_bytes, window),
        fn_output_signature=(tf.TensorSpec((*size_hw, channels), tf.float32), tf.TensorSpec((), tf.bool)),
    )


def _resized(photo: Any, size_hw: tuple[int, int], window: Any) -> Any:
    """A window of a photo (H, W, C) as float32 (height, width, C), by the operation of `tf.image.resize`."""
    sides = tf.cast(tf.shape(photo)[:2], tf.float32)
    scale = tf.cast(size_hw, tf.float32) / ((window[2:] - window[:2]) * sides)
    return tf.raw_ops.ScaleAndTranslate(
        images=tf.cast(photo, tf.float32)[None],
        size=size_hw,
        scale=scale,
        translation=-window[:2] * sides * scale,
        kernel_type="keyscubic",
        antialias=True,
    )[0]


def _or_else(function: Callable[..., Any], argument: Any, otherwise: Any) -> Any:
    """`function(argument)`, or `otherwise`, of the same shape, if one of its operations fails.

    Inside a dataset, a failed operation does not abort the whole graph.
    """
    result = tf.data.Dataset.from_tensors(argument).map(function).ignore_errors()
    return result.concatenate(tf.data.Dataset.from_tensors(otherwise)).take(1).get_single_element()


def _decode_grey(encoded: Any) -> tuple[Any, Any, Any]:
    """float32 (H, W, 1), and the least and the greatest value that a resized image may have."""
    is_png = tf.strings.substr(encoded, 0, 3) == b"\x89PN"
    is_deep_grey = tf.strings.substr(encoded, 24, 2) == b"\x10\x00"  # 16 bits, colour type 0
    return tf.cond(is_png & is_deep_grey, lambda: _decode_deep_png(encoded), lambda: _luma(_decode(encoded)))


def _decode_deep_png(encoded: Any) -> tuple[Any, Any, Any]:
    width, height = _integers(encoded, 16, 2, tf.int32, little_endian=False)
    checked = _if_bearable(encoded, height, width)
    values = tf.cast(tf.io.decode_png(checked, channels=1, dtype=tf.uint16), tf.float32)
    return values, tf.reduce_min(values), tf.reduce_max(values)


def _luma(photo: Any) -> tuple[Any, Any, Any]:
    """ITU-R 601, with Pillow's integers."""
    weighted = tf.reduce_sum(tf.cast(photo, tf.int32) * [19595, 38470, 7471], axis=-1, keepdims=True)
    return tf.cast((weighted + 32768) // 65536, tf.float32), 0.0, 255.0


def _decode(encoded: Any) -> Any:
    """uint8 (H, W, 3), RGB."""
    start = tf.strings.substr(encoded, 0, 3)
    kinds = [start == b"\xff\xd8\xff", start == b"\x89PN", start == b"GIF"]
    decoders = (_decode_jpeg, _decode_png, _decode_gif, _decode_bmp)
    branches = [lambda decode=decode: decode(encoded) for decode in decoders]
    # The index of the first matching kind, or of the last decoder.
    return tf.switch_case(tf.argmax([*kinds, True], output_type=tf.int32), branches)


def _decode_jpeg(encoded: Any) -> Any:
    height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(encoded))
    # Pillow's transform, for the same pixels; TensorFlow's default is faster and less accurate.
    photo = tf.io.decode_jpeg(_if_bearable(encoded, height, width), channels=3, dct_method="INTEGER_ACCURATE")
    return _upright(photo, _or_else(exif_orientation, encoded, 1))


def _decode_png(encoded: Any) -> Any:
    width, height = _integers(encoded, 16, 2, tf.int32, little_endian=False)
    checked = _if_bearable(encoded, height, width)
    [colours] = _integers(encoded, 25, 1, tf.uint8)
    # TensorFlow decodes grey of less than 8 bits as black if it has to add an alpha channel.
    return tf.cond(
        colours == 0, lambda: tf.io.decode_png(checked, channels=3), lambda: _decode_png_over_white(checked)
    )


def _decode_png_over_white(encoded: Any) -> Any:
    rgba = tf.cast(tf.io.decode_png(encoded, channels=4), tf.float32)
    alpha = rgba[..., 3:] / 255.0
    return tf.cast(tf.round(rgba[..., :3] * alpha + 255.0 * (1.0 - alpha)), tf.uint8)


def _decode_gif(encoded: Any) -> Any:
    width, height = _integers(encoded, 6, 2, tf.uint16)
    return tf.io.decode_image(_if_bearable(encoded, height, width), channels=3, expand_animations=False)


def _decode_bmp(encoded: Any) -> Any:
    width, height = _integers(encoded, 18, 2, tf.int32)
    checked = _if_bearable(encoded, height, width)
    [bits] = _integers(encoded, 28, 1, tf.uint16)
    return tf.cond(
        bits == 8,
        lambda: _decode_palette_bmp(checked),
        lambda: tf.io.decode_image(checked, channels=3, expand_animations=False),
    )


def _decode_palette_bmp(encoded: Any) -> Any:
    """Decode a BMP with a palette: the "grey" values that TensorFlow decodes are indices of its colours."""
    pixels_at, header_size = _integers(encoded, 10, 2, tf.int32)
    table_at = 14 + header_size
    table = tf.io.decode_raw(tf.strings.substr(encoded, table_at, pixels_at - table_at), tf.uint8)
    colours_bgr = tf.reshape(table, (-1, 4))[:, :3]
    return tf.gather(colours_bgr[:, ::-1], tf.cast(tf.io.decode_bmp(encoded)[..., 0], tf.int32))


def _integers(
    encoded: Any, position: int, count: int, kind: tf.DType, little_endian: bool = True
) -> list[Any]:
    """Integers of an image header."""
    numbers = tf.io.decode_raw(tf.strings.substr(encoded, position, count * kind.size), kind, little_endian)
    return tf.unstack(tf.cast(numbers, tf.int32), count)


def _if_bearable(encoded: Any, height: Any, width: Any) -> Any:
    """`encoded`, as an operation that fails if the image has more than `MAX_PIXELS` pixels."""
    pixels = tf.abs(tf.cast(height, tf.int64) * tf.cast(width, tf.int64))
    with tf.control_dependencies([tf.debugging.assert_less_equal(pixels, tf.constant(MAX_PIXELS, tf.int64))]):
        return tf.identity(encoded)


def _upright(photo: Any, orientation: Any) -> Any:
    """Apply an EXIF orientation, 1 to 8; other values are ignored."""
    transposed, mirrored, turned_over = (
        tf.reduce_any(orientation == tf.constant(values))
        for values in ((5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8))
    )
    photo = tf.cond(transposed, lambda: tf.transpose(photo, (1, 0, 2)), lambda: photo)
    photo = tf.cond(mirrored, lambda: photo[:, ::-1], lambda: photo)
    return tf.cond(turned_over, lambda: photo[::-1], lambda: photo)
