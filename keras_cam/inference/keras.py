"""Localizers that Keras runs.

TensorFlow itself is used here for the types of inputs.
"""

from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_cam.graph import names
from keras_cam.graph.localizer_parts import localizer_parts
from keras_cam.graph.looks import split_looks
from keras_cam.inference.any_number import any_number_of_images
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.photo_crops import CropPhotos
from keras_cam.inference.traced import traced
from keras_cam.layers.localizer_model import maps_layer
from keras_cam.localizer import check_localizer, image_size_hw
from keras_cam.models.labels import labels_of


class KerasLocalizer(Localizer):
    """A model from `keras_cam.build_localizer`, as `keras_cam.inference.Localizer` describes it.

    Args:
        model: the model, with images as its only input.

    Attributes:
        model: the same.

    Raises:
        ValueError: the model has other inputs or outputs.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("alexnet_gap", classes=3, input_shape=(67, 67, 3), head_filters=8)
        >>> localizer = KerasLocalizer(keras_cam.build_localizer(model))
        >>> localizer.cam(np.zeros((1, 67, 67, 3)), [[2, 0]])["detection_boxes"].shape
        (1, 2, 4)
    """

    runtime = "tensorflow"

    def __init__(self, model: keras.Model) -> None:
        check_localizer(model)
        self.model = model
        self.size_hw, self.channels = image_size_hw(model), model.inputs[0].shape[-1]
        self.labels = labels_of(model)
        self.classes: int = model.get_layer(names.SCORES).output.shape[-1]
        self.threshold = float(np.median(model.get_layer(names.DETECTIONS).threshold))
        self.map_kind, self.map_method = maps_layer(model).map_kind, maps_layer(model).map_method
        self.looks_at_photos = any(layer.name == names.CROPS for layer in model.layers)
        self._dtype = model.inputs[0].dtype
        self._pixels = tf.TensorSpec((None, *self.size_hw, self.channels), self._dtype)
        self._asked = tf.TensorSpec((None, None), tf.int32)
        self._localize = traced(_call, model, signature=[self._pixels])

    @any_number_of_images
    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """All outputs of the model."""
        return _arrays(self._localize(tf.cast(images, self._dtype)))

    @any_number_of_images
    def localize_photos(self, images: Any, crop: CropPhotos) -> dict[str, np.ndarray]:
        """As `localize`; a second look sees crops of the photos themselves."""
        if not self.looks_at_photos:
            return self.localize(images)
        first, second = self._looks
        found = first(tf.cast(images, self._dtype))
        return _arrays(second([crop(found["windows"].numpy()), *found["tensors"]]))

    @any_number_of_images
    def classify(self, images: Any) -> np.ndarray:
        """Logits, float32 (B, N)."""
        return self._front(tf.cast(images, self._dtype))["logits"].numpy()

    @any_number_of_images
    def cam(self, images: Any, class_ids: Any) -> dict[str, np.ndarray]:
        """Maps and boxes of chosen classes (B, K), see `Localizer.cam`."""
        return _arrays(self._cam(tf.cast(images, self._dtype), tf.cast(class_ids, tf.int32)))

    @any_number_of_images
    def classify_and_cam(
        self, images: Any, class_ids: Any, top_k: int, crop: CropPhotos | None = None
    ) -> dict[str, np.ndarray]:
        """As `Localizer.classify_and_cam`, in one forward pass and the second looks.

        The chosen and the best classes get second looks of their own, as many as the localizer has.
        """
        asked, images = tf.cast(class_ids, tf.int32), tf.cast(images, self._dtype)
        top_k = min(top_k, self.classes)
        if not self.looks_at_photos or crop is None:
            return _arrays(self._classify_and_cam(images, asked, top_k))
        found = self._front(images)
        predicted = ops.top_k(found["logits"], top_k)[1]
        first, second = self._cam_looks
        rows = []
        for classes in (asked, predicted):
            looked = first([classes, *found["tensors"]])
            rows.append(_arrays(second([crop(looked["windows"].numpy()), *looked["tensors"]])))
        maps = {name: np.concatenate([row[name] for row in rows], axis=1) for name in rows[0]}
        return {**maps, **_arrays({"logits": found["logits"], "predicted": predicted})}

    @cached_property
    def _parts(self) -> tuple[keras.Model, keras.Model]:
        return localizer_parts(self.model)

    @cached_property
    def _looks(self) -> Any:
        return _compiled(split_looks(self.model))

    @cached_property
    def _cam_looks(self) -> Any:
        return _compiled(split_looks(self._parts[1]))

    @cached_property
    def _front(self) -> Any:
        return traced(_call, self._parts[0], signature=[self._pixels])

    @cached_property
    def _cam(self) -> Any:
        return traced(_cam, *self._parts, signature=[self._pixels, self._asked])

    @cached_property
    def _classify_and_cam(self) -> Any:
        return traced(_classify_and_cam, *self._parts)


def _call(model: keras.Model, inputs: Any) -> Any:
    return model(inputs, training=False)


def _cam(front: keras.Model, back: keras.Model, images: Any, class_ids: Any) -> Any:
    return _call(back, [class_ids, *_call(front, images)["tensors"]])


def _classify_and_cam(front: keras.Model, back: keras.Model, images: Any, class_ids: Any, top_k: int) -> Any:
    found = _call(front, images)
    predicted = ops.top_k(found["logits"], top_k)[1]
    maps = _call(back, [ops.concatenate([class_ids, predicted], axis=1), *found["tensors"]])
    return {**maps, "logits": found["logits"], "predicted": predicted}


def _compiled(models: tuple[keras.Model, ...] | None) -> Any:
    """Models as `tf.function`s; None for None."""
    return models and tuple(traced(_call, model) for model in models)


def _arrays(outputs: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(values) for name, values in outputs.items()}
