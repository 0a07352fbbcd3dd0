"""Batches of training images, from any step on, and of validation images.

TensorFlow itself is used here for `tf.data`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_cam.data import AnnotatedImages, AnnotationError, to_dataset
from keras_cam.images.files import ImageError
from keras_cam.training.augmentation import augment_images, batch_layer, image_layers, mix_batch
from keras_cam.training.config import Augmentation
from keras_cam.training.image_crop import DRAWS, ImageCrops
from keras_cam.training.image_order import ImageOrder


class TrainingImages:
    """The images to train on.

    Args:
        annotated: images with labels.
        size_hw: the height and width to which images are resized.
        multi_label: whether to use all labels of an image instead of its main one.
        class_weights: the weight of each class, float (classes,), or None.
        batch_size: the number of images in a batch, of all workers and devices together.
        seed: the seed of order and augmentation.
        keep: whether decoded images are kept in memory.

    Attributes:
        annotated: the images.
        size_hw: the height and width to which they are resized.
        order: the order of the images.
        failures: the error of each image that could not be read, by its name. The next readable image of the
            data set takes its place.
    """

    def __init__(
        self,
        annotated: AnnotatedImages,
        size_hw: tuple[int, int],
        *,
        multi_label: bool = False,
        class_weights: np.ndarray | None = None,
        batch_size: int = 32,
        seed: int = 0,
        keep: bool = False,
    ):
        self.annotated = annotated
        self.order = ImageOrder(len(annotated), batch_size, seed)
        self.failures: dict[str, str] = {}
        self.size_hw = size_hw
        self._labels = one_hot_labels(annotated, multi_label)
        weights = np.ones(len(annotated.class_names)) if class_weights is None else class_weights
        self._weights = weights.astype(np.float32)[annotated.labels]
        self._crops = ImageCrops(keep)

    def batches(
        self,
        augmentation: Augmentation,
        first_step: int,
        last_step: int,
        worker: int = 0,
        workers: int = 1,
        devices: int = 1,
    ) -> tf.data.Dataset:
        """The part of the batches that one worker reads.

        The content of a batch depends only on its step, so a run can stop at any step and go on with another
        number of workers.

        Args:
            augmentation: the random changes of the images.
            first_step: the step of the first batch, counted from the start of training.
            last_step: the step after that of the last batch.
            worker: the index of the worker.
            workers: the number of workers; each reads an equal share of each batch.
            devices: the number of devices of a worker; each gets a batch of its own.

        Returns:
            A `tf.data.Dataset` of (images, labels, weights): (B, height, width, 3) in 0..255, uint8, or
            float32 if augmentation changes pixels; float32 (B, classes); and float32 (B,).
        """
        share = self.order.batch_size // workers
        size = share // devices
        layers, mixing = image_layers(augmentation), batch_layer(augmentation)

        def read(first: Any) -> tuple[np.ndarray, ...]:
            step, place = divmod(int(first), share)
            return self._read(step * self.order.batch_size + worker * share + place, size, augmentation)

        @tf.autograph.experimental.do_not_convert
        def load(first: Any) -> tuple[Any, ...]:
            types = (tf.uint8, tf.float32, tf.float32, tf.int32)
            pixels, labels, weights, numbers = tf.numpy_function(read, [first], types, stateful=False)
            pixels.set_shape((size, *self.size_hw, 3))
            labels.set_shape((size, self._labels.shape[1]))
            weights.set_shape((size,))
            numbers.set_shape((size,))
            if not layers and mixing is None:
                return pixels, labels, weights  # the model casts them: a quarter of the bytes go to a GPU
            images = tf.cast(pixels, tf.float32)
            if layers:
                images = augment_images(layers, images, numbers)
            if mixing is not None:
                images, labels = mix_batch(mixing, images, labels, numbers[0])
            return images, labels, weights

        # A call reads a whole batch, for calling Python takes as long as decoding a small image.
        firsts = tf.data.Dataset.range(first_step * share, last_step * share, size)
        batches = firsts.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(tf.data.AUTOTUNE)

    def _read(self, position: int, count: int, augmentation: Augmentation) -> tuple[np.ndarray, ...]:
        """Images from a position of the order on: pixels, labels, weights, and a random number for each."""
        step, first = divmod(position, self.order.batch_size)
        # The random numbers of a batch are drawn at once: a generator for each image would hold Python's lock
        # for longer, and the other threads wait for it.
        rng = np.random.default_rng((self.order.seed, step, 1))  # the order takes (seed, epoch)
        numbers = rng.integers(2**31, size=self.order.batch_size, dtype=np.int32)[first : first + count]
        draws = rng.random((self.order.batch_size, DRAWS))[first : first + count].tolist()
        pixels = np.empty((count, *self.size_hw, 3), np.uint8)
        chosen = [
            self._read_one(self.order.at(position + row), augmentation, draws[row], pixels[row])
            for row in range(count)
        ]
        return pixels, self._labels[chosen], self._weights[chosen], numbers

    def _read_one(
        self, index: int, augmentation: Augmentation, draws: Sequence[float], pixels: np.ndarray
    ) -> int:
        """Read an image, or the next one that can be read; returns the index of the image that was read."""
        for candidate in range(index, index + len(self.annotated)):
            image = self.annotated[candidate % len(self.annotated)]
            try:
                pixels[:] = self._crops.read(image, self.size_hw, augmentation, draws)
                return candidate % len(self.annotated)
            except ImageError as error:
                self.failures[image.name] = str(error)
        raise ValueError("no readable image")  # `check_readable` explains it

    def check_readable(self) -> None:
        """Check that at least one image could be read.

        Raises:
            AnnotationError: no image could be read.
        """
        if len(self.failures) == len(self.annotated):
            first = next(iter(self.failures.values()))
            raise AnnotationError(
                f"None of the {len(self.annotated)} images of {self.annotated.source} can be read: {first}"
            )

    def in_order(self) -> tf.data.Dataset:
        """Each image once, without augmentation, in the order of the data set: (images, labels, weights)."""

        def read(index: Any) -> tuple[np.ndarray, np.float32]:
            try:
                image = self.annotated[int(index)]
                return self._crops.read(image, self.size_hw), np.float32(1)
            except ImageError as error:
                self.failures[image.name] = str(error)
                return np.zeros((*self.size_hw, 3), np.uint8), np.float32(0)

        @tf.autograph.experimental.do_not_convert
        def load(index: Any, labels: Any, weight: Any) -> tuple[Any, ...]:
            pixels, readable = tf.numpy_function(read, [index], (tf.uint8, tf.float32), stateful=False)
            pixels.set_shape((*self.size_hw, 3))
            readable.set_shape(())
            return tf.cast(pixels, tf.float32), labels, weight * readable

        indices = np.arange(len(self.annotated))
        images = tf.data.Dataset.from_tensor_slices((indices, self._labels, self._weights))
        images = images.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return images.batch(min(32, self.order.batch_size)).prefetch(tf.data.AUTOTUNE)


class PooledFeatures:
    """The pooled features of each image by a frozen network, computed once.

    Args:
        images: the images to train on.
        pooled: a function from a batch of images to their pooled features, (B, C).
        on_batch: called after each batch with the number of its images.
    """

    def __init__(
        self,
        images: TrainingImages,
        pooled: Callable[[Any], Any],
        on_batch: Callable[[int], None] = lambda count: None,
    ):
        features, labels, weights = [], [], []
        for pixels, own_labels, own_weights in images.in_order():
            features.append(np.asarray(pooled(pixels)))
            labels.append(own_labels.numpy())
            weights.append(own_weights.numpy())
            on_batch(len(pixels))
        images.check_readable()
        self._order = images.order
        self._arrays = tuple(np.concatenate(parts) for parts in (features, labels, weights))

    def batches(
        self, first_step: int, last_step: int, worker: int = 0, workers: int = 1, devices: int = 1
    ) -> tf.data.Dataset:
        """As `TrainingImages.batches`, with features instead of images."""
        share = self._order.batch_size // workers
        size = share // devices

        def gather(places: Any) -> tuple[np.ndarray, ...]:
            steps, inside = np.divmod(places, share)
            positions = steps * self._order.batch_size + worker * share + inside
            indices = [self._order.at(int(position)) for position in positions]
            return tuple(array[indices] for array in self._arrays)

        @tf.autograph.experimental.do_not_convert
        def load(places: Any) -> tuple[Any, ...]:
            tensors = tf.numpy_function(gather, [places], [tf.float32] * 3, stateful=False)
            for tensor, array in zip(tensors, self._arrays, strict=True):
                tensor.set_shape((size, *array.shape[1:]))
            return tuple(tensors)

        places = tf.data.Dataset.range(first_step * share, last_step * share)
        return places.batch(size, drop_remainder=True).map(load).prefetch(tf.data.AUTOTUNE)


def one_hot_labels(annotated: AnnotatedImages, multi_label: bool = False) -> np.ndarray:
    """The targets of training: float32 (N, classes), 1 for each label of an image, else 0."""
    rows = np.zeros((len(annotated), len(annotated.class_names)), np.float32)
    for row, image in zip(rows, annotated, strict=True):
        row[list(image.labels) if multi_label else image.label] = 1
    return rows


def balanced_weights(annotated: AnnotatedImages) -> np.ndarray:
    """Weights float (classes,) with which all classes have the same total weight, and images the mean 1.

    Examples:
        >>> from keras_cam.data import AnnotatedImage
        >>> labels = (0, 0, 0, 1)
        >>> images = tuple(AnnotatedImage("", "", label, (label,)) for label in labels)
        >>> balanced_weights(AnnotatedImages("", ("often", "seldom"), images)).round(3).tolist()
        [0.667, 2.0]
    """
    counts = np.bincount(annotated.labels, minlength=len(annotated.class_names))
    return len(annotated) / (len(counts) * np.maximum(counts, 1))


def validation_dataset(
    annotated: AnnotatedImages, size_hw: tuple[int, int], multi_label: bool, batch_size: int
) -> tf.data.Dataset:
    """Validation images, resized as for localization: (images, labels, weights); weight 0 if unreadable."""
    labels = tf.constant(one_hot_labels(annotated, multi_label))

    @tf.autograph.experimental.do_not_convert
    def select(batch: dict[str, Any]) -> tuple[Any, ...]:
        readable = tf.cast(tf.equal(batch["errors"], ""), tf.float32)
        return batch["images"], tf.gather(labels, batch["index"]), readable

    return to_dataset(annotated, size_hw, batch_size).map(select)
