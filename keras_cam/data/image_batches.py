"""Photos as batches of pixels, read and resized by `tf.data` while the model works on others.

TensorFlow itself is used here for `tf.data`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_cam.data.annotated_images import AnnotatedImages
from keras_cam.images import ImageError


def resized_images(read: Callable[[int], np.ndarray], count: int, size_hw: tuple[int, int]) -> Any:
    """Reads photos and resizes each as a whole; one that cannot be read does not disturb the others.

    Args:
        read: gives the pixels of photo 0 to `count - 1`, uint8 (H, W, 3), or raises an `ImageError`. It is
            called by several threads.
        count: how many photos there are.
        size_hw: the height and width they get.

    Returns:
        A `tf.data.Dataset` with a dict for each photo, in order: `index` int64; `images` float32
        (height, width, 3), RGB in 0..255; `sizes_wh` int32 (2,), its original width and height; `errors`, a
        string that is empty for a good photo. Of others the pixels are 0 and the size is 1 x 1.

    Examples:
        >>> def read(index):
        ...     return np.full((2, 4, 3), index, np.uint8)
        >>> for photo in resized_images(read, count=2, size_hw=(6, 6)):
        ...     print(photo["index"].numpy(), photo["images"].shape, photo["sizes_wh"].numpy())
        0 (6, 6, 3) [4 2]
        1 (6, 6, 3) [4 2]
    """
    import tensorflow as tf

    def read_or_error(index: Any) -> tuple[np.ndarray, bytes]:
        try:
            return read(int(index)), b""
        except ImageError as error:
            return np.zeros((1, 1, 3), np.uint8), encode_error(str(error))

    def load(index: Any) -> dict[str, Any]:
        photo, error = tf.numpy_function(read_or_error, [index], (tf.uint8, tf.string), stateful=False)
        photo.set_shape((None, None, 3))
        error.set_shape(())
        # Without antialiasing most pixels of a large photo would not count at all. Bicubic is how the
        # EfficientNets were judged when they were published.
        pixels = tf.image.resize(photo, size_hw, method="bicubic", antialias=True)
        pixels = tf.clip_by_value(pixels, 0.0, 255.0)
        return {"index": index, "images": pixels, "sizes_wh": tf.shape(photo)[1::-1], "errors": error}

    return tf.data.Dataset.range(count).map(load, num_parallel_calls=tf.data.AUTOTUNE)


def to_dataset(annotated: AnnotatedImages, size_hw: tuple[int, int], batch_size: int = 32) -> Any:
    """The images of a data set in batches, with their classes and boxes.

    The images are resized as a whole, so that boxes in [0, 1] stay as they are. The order is that of
    `annotated`, and the last batch can be smaller. An image that cannot be read, or has another size than
    its annotations are for, stays in its place, with its error.

    Args:
        annotated: the images, see `keras_cam.data.read_annotations`.
        size_hw: the height and width that the images get.
        batch_size: how many images a batch has.

    Returns:
        A `tf.data.Dataset` of dicts. B is the size of the batch, M the largest number of boxes of an image:

        - `index` (B,) int64: the position in `annotated`
        - `images` (B, height, width, 3) float32: RGB in 0..255; 0 if there is an error
        - `labels` (B,) int32: the main class
        - `boxes_yxyx` (B, M, 4) float32: ymin, xmin, ymax, xmax in [0, 1]; 0 where there is no box
        - `box_labels` (B, M) int32: the class of each box; -1 where there is no box
        - `num_boxes` (B,) int32: how many of the M boxes are real; 0 if there is an error
        - `sizes_wh` (B, 2) int32: width and height of the original image
        - `errors` (B,) string: what is wrong with the image, empty if nothing is; see `decode_error`

    Raises:
        ValueError: if `size_hw` or `batch_size` is not positive.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> from keras_cam.data import AnnotatedImage
        >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
        ...     Image.new("RGB", (40, 30)).save(file.name)
        ...     box = np.array([[10, 15, 20, 30]], "float32")
        ...     cat = AnnotatedImage("cat", file.name, 1, (1,), box, np.array([1]))
        ...     [batch] = to_dataset(AnnotatedImages("pets", ("dog", "cat"), (cat,)), (224, 224))
        >>> batch["images"].shape, batch["boxes_yxyx"].numpy().tolist()
        (TensorShape([1, 224, 224, 3]), [[[0.5, 0.25, 1.0, 0.5]]])
    """
    import tensorflow as tf

    if batch_size < 1 or len(size_hw) != 2 or min(size_hw) < 1:
        raise ValueError(
            "`size_hw` must be a height and a width, both they and `batch_size` at least 1. "
            f"Received: size_hw={size_hw!r}, batch_size={batch_size!r}"
        )
    images = annotated.images
    most = max((len(image.boxes_xyxy) for image in images), default=0)

    def annotations(index: Any, size_wh: Any, error: Any) -> tuple[Any, ...]:
        image, boxes, box_labels = images[index], np.zeros((most, 4), np.float32), np.full(most, -1, np.int32)
        count = 0 if error else len(image.boxes_xyxy)
        # In this order, for the sizes are (width, height) and the boxes of the file are xyxy.
        boxes[:count] = (image.boxes_xyxy / np.tile(size_wh, 2))[:count, [1, 0, 3, 2]]
        box_labels[:count] = image.box_labels[:count]
        return np.int32(image.label), np.clip(boxes, 0, 1), box_labels, np.int32(count)

    def annotate(photo: dict[str, Any]) -> dict[str, Any]:
        inputs = [photo["index"], photo["sizes_wh"], photo["errors"]]
        types = (tf.int32, tf.float32, tf.int32, tf.int32)
        outputs = tf.numpy_function(annotations, inputs, types, stateful=False)
        shapes = {"labels": (), "boxes_yxyx": (most, 4), "box_labels": (most,), "num_boxes": ()}
        known = {
            name: tf.ensure_shape(tensor, shape)
            for (name, shape), tensor in zip(shapes.items(), outputs, strict=True)
        }
        return photo | known

    photos = resized_images(lambda index: images[index].read(), len(images), size_hw)
    return photos.map(annotate).batch(batch_size).prefetch(1)


def encode_error(message: str) -> bytes:
    """An error as the string tensor `errors` holds it; file names may hold bytes that are no text."""
    return message.encode("utf-8", "surrogateescape")


def decode_error(message: bytes) -> str:
    """An error from the string tensor `errors` as text."""
    return message.decode("utf-8", "surrogateescape")
