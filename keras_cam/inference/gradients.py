"""Maps and boxes from the gradient of a class score with respect to the image, the paper's baseline.

TensorFlow itself is used here for `tf.GradientTape`: Keras has no gradients of its own.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_cam.graph.logits import find_logits
from keras_cam.images.resize import input_size_hw
from keras_cam.inference.any_number import any_number_of_images
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.traced import traced
from keras_cam.layers import ClassSelection, MapDetections
from keras_cam.models.labels import labels_of
from keras_cam.recipes import THRESHOLD


class SaliencyLocalizer(Localizer):
    """Localizes by backpropagation instead of class activation maps.

    The map of a class is the absolute derivative of its logit with respect to each pixel, the maximum over
    the three colours, averaged over square cells: single pixels do not form regions. Boxes are made by the
    same rule as those of class activation maps. The head of the classifier need not be linear.

    Args:
        model: a classifier with images (B, H, W, 3) as its only input. A softmax or sigmoid at its end is
            left out, because the derivative of a probability depends on the other classes.
        top_k: int, the number of best classes that `localize` returns.
        threshold: float in [0, 1): boxes enclose the pixels above this fraction of the map's maximum.
        cell_size: int, the approximate height and width of a cell of the map in pixels.

    Attributes:
        size_hw: the height and width of the input images.
        classes: the number of classes.
        labels: the names of the classes; None if the model has no names.

    Raises:
        ValueError: the model has other inputs or outputs, or `cell_size` is larger than its images.

    Reference:
        Simonyan et al., Deep Inside Convolutional Networks, 2013, section 3.1. Zhou et al., CVPR 2016,
        section 3.2, tables 2 and 3.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("alexnet", classes=10)  # which has no class activation map
        >>> out = SaliencyLocalizer(model, top_k=3).localize(np.zeros((1, 227, 227, 3), "float32"))
        >>> out["detection_boxes"].shape, out["class_activation_maps"].shape
        ((1, 3, 4), (1, 3, 14, 14))
    """

    runtime = "tensorflow"

    def __init__(
        self, model: keras.Model, top_k: int = 5, threshold: float = THRESHOLD, cell_size: int = 16
    ) -> None:
        images, logits, activation = find_logits(model)
        self.size_hw, self.channels = input_size_hw(images.shape), images.shape[-1]
        if not 1 <= cell_size <= min(self.size_hw):
            raise ValueError(
                f"`cell_size` must be at least 1 and at most {min(self.size_hw)}, the size of the images. "
                f"Received: cell_size={cell_size!r}"
            )
        self.classes: int = logits.shape[-1]
        self.labels: tuple[str, ...] | None = labels_of(model)
        self.threshold = threshold
        self._activation = keras.layers.Activation(activation)
        self._selection = ClassSelection(top_k=min(top_k, self.classes))
        self._detections = MapDetections(threshold)
        self._in_order = MapDetections(threshold, boxes_first=False)
        self._cell_size = cell_size
        self._classifier = keras.Model(images, logits)
        pixels = tf.TensorSpec((None, *self.size_hw, self.channels), tf.float32)
        self._classify = traced(self._logits, signature=[pixels])
        asked = tf.TensorSpec((None, None), tf.int32)
        self._cam = traced(self._maps, signature=[pixels, asked])

    @any_number_of_images
    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """The best classes with boxes and maps, see `keras_cam.build_localizer`; the maps are those of `cam`.

        Args:
            images: (B, H, W, 3) RGB pixels in 0..255 of the size `size_hw`.
        """
        logits = self._classify(ops.cast(images, "float32"))
        class_ids = self._selection(logits)
        maps = self._cam(ops.cast(images, "float32"), class_ids)
        rows = self._detections(maps, class_ids, self._activation(logits), images)
        return {name: np.asarray(values) for name, values in rows.items()}

    @any_number_of_images
    def classify(self, images: Any) -> np.ndarray:
        """Logits (B, N)."""
        return self._classify(ops.cast(images, "float32")).numpy()

    @any_number_of_images
    def cam(self, images: Any, class_ids: Any) -> dict[str, np.ndarray]:
        """Saliency maps, which are never negative, and boxes of chosen classes; see `Localizer.cam`."""
        asked = ops.cast(class_ids, "int32")
        maps = self._cam(ops.cast(images, "float32"), asked)
        rows = self._in_order(maps, asked, ops.zeros((len(images), self.classes)), images)
        boxes = np.asarray(rows["detection_boxes"])
        return {"class_activation_maps": np.asarray(maps), "detection_boxes": boxes}

    def _logits(self, images: Any) -> Any:
        return ops.cast(self._classifier(images, training=False), "float32")

    def _maps(self, images: Any, class_ids: Any) -> Any:
        def gradients_of(one_class_each: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(images)
                # Images do not see each other, so the gradient of the sum is that of each.
                score = ops.sum(ops.take_along_axis(self._logits(images), one_class_each[:, None], axis=1))
            return ops.max(ops.absolute(tape.gradient(score, images)), axis=-1, keepdims=True)

        # One class after the other, for gradients need a lot of memory.
        pixels = tf.map_fn(gradients_of, ops.transpose(class_ids), fn_output_signature=tf.float32)
        classes, batch = ops.shape(pixels)[:2]
        flat = ops.reshape(pixels, (-1, *self.size_hw, 1))
        cells_hw = [round(size / self._cell_size) for size in self.size_hw]
        cells = tf.image.resize(flat, cells_hw, method="area")
        return ops.transpose(ops.reshape(cells, (classes, batch, *cells_hw)), (1, 0, 2, 3))
