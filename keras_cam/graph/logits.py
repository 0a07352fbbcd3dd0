"""The logits of a classifier, before softmax or sigmoid."""

from typing import Any

import keras
from keras import ops

from keras_cam.graph.classification_head import output_tensor
from keras_cam.graph.cursor import inputs_of
from keras_cam.graph.flat_call import flat_call_of
from keras_cam.graph.flat_graph import flat_graph
from keras_cam.graph.linearity import final_activation
from keras_cam.graph.operation_kinds import activation_name, is_identity
from keras_cam.layers.class_activation_head import ClassActivationHead

# What the scores of an ensemble pass through on their way to an average.
_AVERAGES = ("Average", "Add", "Stack", "Mean", "Multiply", "Divide", "TrueDivide", "Rescaling")
_TINY = 1e-30


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
    flat = flat_graph(keras.Model(model.inputs, output_tensor(model)))
    logits, activation = without_activation(flat.outputs[0])
    last = flat_call_of(logits)
    if final_activation(last.operation):
        # A layer with a built-in activation: apply its weights only.
        logits = ClassActivationHead([last.operation])(ops.expand_dims(last.inputs[0], (1, 2)))
    [images] = inputs_of(logits, flat.inputs)
    if activation == "linear":
        activation = "sigmoid" if logits.shape[-1] == 1 else "softmax"
    return images, logits, activation


def without_activation(tensor: Any) -> tuple[Any, str]:
    """Trace back from scores to logits.

    Args:
        tensor: the output of a flat graph.

    Returns:
        `(logits, activation)`, "linear" if there is none. If the last layer with weights applies it, `logits`
        is the output of that layer, whose activation the caller leaves out. Of averaged scores, as of an
        ensemble, `logits` are those with which the activation gives these scores.
    """
    activation = "linear"
    while flat_call_of(tensor).inputs:
        operation = flat_call_of(tensor).operation
        if activation == "linear":
            activation = final_activation(operation) or "linear"
        if hasattr(operation, "kernel") or not _only_activates(operation):
            break
        tensor = flat_call_of(tensor).inputs[0]
    averaged = _averaged_scores(tensor) if activation == "linear" else None
    return (_logits_of(tensor, averaged), averaged) if averaged else (tensor, activation)


def _averaged_scores(tensor: Any) -> str | None:
    """The activation whose scores are averaged by an ensemble: "softmax", "sigmoid" or None."""
    call = flat_call_of(tensor)
    activation = final_activation(call.operation)
    if activation or not call.inputs or type(call.operation).__name__ not in _AVERAGES:
        return activation
    kinds = {_averaged_scores(x) for x in call.inputs}
    return kinds.pop() if len(kinds) == 1 else None


def _logits_of(scores: Any, activation: str) -> Any:
    """Logits with which the activation gives these scores."""
    logits = ops.log(scores + _TINY)
    return logits if activation == "softmax" else logits - ops.log(1 - scores + _TINY)


def _only_activates(operation: Any) -> bool:
    is_linear = isinstance(operation, keras.layers.Activation) and activation_name(operation) == "linear"
    return bool(final_activation(operation)) or is_identity(operation) or is_linear
