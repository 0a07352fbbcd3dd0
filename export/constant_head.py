"""The classifier of a localizer as a constant, for formats without variables.

Uses TensorFlow directly for `tf.gather`, as `keras_cam.ops` does.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_cam.layers import ClassActivationHead
from keras_cam.ops.maps import weighted_channels


class ConstantHead(ClassActivationHead):
    """A `ClassActivationHead` whose classifier is folded into one constant matrix.

    Maps are computed from rows of the matrix (classes, channels). LiteRT stores the weights of a fully
    connected layer in this layout, so the file contains them once; columns would need a transposed copy.

    Args:
        head: the head whose current weights are used; its classifier must not be empty.

    Examples:
        >>> dense = keras.layers.Dense(2, kernel_initializer="ones")
        >>> dense.build((None, 3))
        >>> head = ConstantHead(ClassActivationHead([dense]))
        >>> head(np.ones((1, 4, 4, 3)), np.array([[1, 0, 1]])).shape
        TensorShape([1, 3, 4, 4])
    """

    def __init__(self, head: ClassActivationHead) -> None:
        super().__init__(head.classifier, name=head.name)
        self._kernel, self._bias = (ops.convert_to_numpy(tensor) for tensor in head.affine())

    def affine(self) -> tuple[Any, Any]:
        """The constant `(kernel, bias)`."""
        return self._kernel, self._bias

    def call(self, features: Any, class_ids: Any = None, positive_weights: bool = False) -> Any:
        """Logits, or maps of the selected classes."""
        if class_ids is None:
            return super().call(features)
        # Flat indices: LiteRT's lookup in quantized matrices takes no others.
        rows = tf.gather(np.ascontiguousarray(self._kernel.T), ops.reshape(class_ids, (-1,)))
        rows = ops.relu(rows) if positive_weights else rows
        return weighted_channels(features, ops.reshape(rows, (*ops.shape(class_ids), rows.shape[-1])))


def with_constant_head(localizer: keras.Model) -> keras.Model:
    """Copy a localizer with a constant head; all other layers with weights are shared."""

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, ClassActivationHead):
            return ConstantHead(layer) if layer.classifier else layer
        if not isinstance(layer, keras.layers.Layer) or layer.weights:
            return layer
        # A shared layer would be part of two graphs, and its `input` ambiguous.
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(localizer, clone_function=copied)
