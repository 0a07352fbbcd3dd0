"""The logits of a classifier, before softmax or sigmoid."""

from typing import Any

import keras
from keras import ops

from keras_cam.graph.classification_head import activation_name, is_identity, output_tensor
from keras_cam.graph.cursor import GraphCursor, inputs_of
from keras_cam.layers.class_activation_head import ClassActivationHead


def find_logits(model: keras.Model) -> tuple[Any, Any, str]:
    """Trace back from a classifier's output to its logits.

    Args:
        model: a functional or `Sequential` classifier of any architecture.

    Returns:
        `(images, logits, activation)`: the KerasTensors of the only input and of the logits (B, N); and the
        activation that gives scores, "softmax" or "sigmoid". For a model that returns logits this is softmax,
        or sigmoid for a single class.

    Raises:
        ValueError: the model cannot be traced, or has several inputs or outputs.

    Examples:
        >>> model = keras.Sequential([
        ...     keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(5, activation="softmax")
        ... ])
        >>> images, logits, activation = find_logits(model)
        >>> keras.Model(images, logits).output_shape, activation
        ((None, 5), 'softmax')
    """
    cursor = GraphCursor(output_tensor(model), model.inputs)
    activation = "linear"
    while not cursor.at_input and (is_identity(cursor.operation) or _only_activates(cursor.operation)):
        activation = activation_name(cursor.operation) or activation
        cursor = cursor.back()
    last = activation_name(cursor.operation)
    if last in ("softmax", "sigmoid"):
        # A layer with a built-in activation: apply its weights only.
        activation = last
        vectors = ops.expand_dims(cursor.back().lifted_tensor(), (1, 2))
        logits = ClassActivationHead([cursor.operation])(vectors)
    else:
        logits = cursor.lifted_tensor()
    [images] = inputs_of(logits, model.inputs)
    if activation not in ("softmax", "sigmoid"):
        activation = "sigmoid" if logits.shape[-1] == 1 else "softmax"
    return images, logits, activation


def _only_activates(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Activation | keras.layers.Softmax) or type(
        operation
    ).__name__ in ("Softmax", "Sigmoid")
