"""Reading the EXIF orientation of a JPEG inside a TensorFlow graph.

Uses TensorFlow directly for its operations on strings.
"""

from typing import Any

import tensorflow as tf

_EXIF, _ORIENTATION, _START_OF_SCAN = b"Exif\0\0", 0x0112, 0xFFDA


def exif_orientation(jpeg: Any) -> Any:
    """Read the orientation from the EXIF data of a JPEG file.

    Args:
        jpeg: scalar string tensor, the content of the file.

    Returns:
        Scalar int32 tensor, 1 to 8 in a valid file. The operation fails if the file has no EXIF orientation.

    Reference:
        CIPA DC-008 (Exif 2.32), sections 4.5.4 and 4.6; TIFF 6.0, section 2.

    Examples:
        >>> import io
        >>> from PIL import Image
        >>> exif, file = Image.Exif(), io.BytesIO()
        >>> exif[0x0112] = 6
        >>> Image.new("RGB", (4, 2)).save(file, "JPEG", exif=exif)
        >>> exif_orientation(file.getvalue()).numpy()
        np.int32(6)
    """
    tiff = tf.strings.substr(jpeg, _exif_segment(jpeg) + 10, 0xFFFF)

    def numbers(position: Any, count: Any, kind: tf.DType) -> Any:
        piece = tf.strings.substr(tiff, position, count * kind.size)
        either = [tf.io.decode_raw(piece, kind, little_endian=little) for little in (True, False)]
        return tf.cast(tf.where(tf.strings.substr(tiff, 0, 2) == b"II", *either), tf.int32)

    [directory] = tf.unstack(numbers(4, 1, tf.int32), 1)
    [entries] = tf.unstack(numbers(directory, 1, tf.uint16), 1)
    # An entry in 16-bit numbers: tag, type, count (two), value (two; a short value is in the first).
    table = tf.reshape(numbers(directory + 2, entries * 6, tf.uint16), (-1, 6))
    return tf.boolean_mask(table[:, 4], table[:, 0] == _ORIENTATION)[0]


def _exif_segment(jpeg: Any) -> Any:
    """The offset of the EXIF segment; fails if there is none before the image data."""

    def header(position: Any) -> Any:
        """The marker and the length of a segment."""
        numbers = tf.io.decode_raw(tf.strings.substr(jpeg, position, 4), tf.uint16, little_endian=False)
        return tf.unstack(tf.cast(numbers, tf.int32), 2)

    def is_exif(position: Any) -> Any:
        return tf.strings.substr(jpeg, position + 4, 6) == _EXIF

    def goes_on(position: Any) -> Any:
        return tf.logical_and(header(position)[0] != _START_OF_SCAN, tf.logical_not(is_exif(position)))

    [position] = tf.while_loop(goes_on, lambda position: [position + 2 + header(position)[1]], [2])
    with tf.control_dependencies([tf.debugging.Assert(is_exif(position), ["no EXIF data"])]):
        return tf.identity(position)
