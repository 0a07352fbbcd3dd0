"""A data set as batches of pixels, classes and boxes.

TensorFlow itself is used here for `tf.data`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_cam.data.annotated_images import AnnotatedImages
from keras_cam.images.batches import ImageBatch, check_batches


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

    check_batches(size_hw, batch_size)  # now, and not when the first epoch begins
    most = max((len(image.boxes_xyxy) for image in annotated), default=0)
    shapes: dict[str, tuple[tuple[int | None, ...], Any]] = {
        "index": ((), tf.int64),
        "images": ((*size_hw, 3), tf.float32),
        "labels": ((), tf.int32),
        "boxes_yxyx": ((most, 4), tf.float32),
        "box_labels": ((most,), tf.int32),
        "num_boxes": ((), tf.int32),
        "sizes_wh": ((2,), tf.int32),
        "errors": ((), tf.string),
    }
    signature = {name: tf.TensorSpec((None, *shape), dtype) for name, (shape, dtype) in shapes.items()}

    def annotated_batches() -> Iterator[dict[str, Any]]:
        for batch in annotated.batches(size_hw, batch_size):
            yield _with_annotations(batch, annotated, most)

    dataset = tf.data.Dataset.from_generator(annotated_batches, output_signature=signature)
    # Keras warns about running out of data at the end of a data set of unknown length.
    batches = -(-len(annotated) // batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(batches)).prefetch(1)


def _with_annotations(batch: ImageBatch, annotated: AnnotatedImages, most: int) -> dict[str, Any]:
    count = len(batch.errors)
    labels, num_boxes = np.zeros(count, np.int32), np.zeros(count, np.int32)
    boxes, box_labels = np.zeros((count, most, 4), np.float32), np.full((count, most), -1, np.int32)
    for row, image in enumerate(annotated[index] for index in batch.index):
        labels[row] = image.label
        if batch.errors[row] is None:
            num_boxes[row] = len(image.boxes_xyxy)
            # In this order, for the sizes are (width, height) and the boxes of the file are xyxy.
            inside = np.clip(image.boxes_xyxy / np.tile(batch.sizes_wh[row], 2), 0, 1)
            boxes[row, : num_boxes[row]] = inside[:, [1, 0, 3, 2]]
            box_labels[row, : num_boxes[row]] = image.box_labels
    return {
        "index": np.array(batch.index),
        "images": batch.images,
        "labels": labels,
        "boxes_yxyx": boxes,
        "box_labels": box_labels,
        "num_boxes": num_boxes,
        "sizes_wh": batch.sizes_wh.astype(np.int32),
        "errors": np.array([encode_error(error or "") for error in batch.errors], object),
    }


def encode_error(message: str) -> bytes:
    """An error as the string tensor `errors` holds it; file names may hold bytes that are no text."""
    return message.encode("utf-8", "surrogateescape")


def decode_error(message: bytes) -> str:
    """An error from the string tensor `errors` as text."""
    return message.decode("utf-8", "surrogateescape")
