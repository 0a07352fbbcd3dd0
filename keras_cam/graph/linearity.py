"""Which operations are affine, so that maps through them are exact."""

from collections.abc import Container, Iterable
from typing import Any

import keras

from keras_cam.graph.activation_gradients import plain_name
from keras_cam.graph.cursor import sources_of
from keras_cam.graph.flat_call import FlatCall, flat_call_of, flat_calls
from keras_cam.graph.gradient_rules import AFFINE_RULES, NORMALIZATION_RULES
from keras_cam.graph.operation_kinds import IDENTITIES, RESHAPES, activation_name

# What weights of an attention may pass through on the way from their softmax.
_REARRANGEMENTS = (*IDENTITIES, *RESHAPES, "GetItem", "Permute", "Transpose")


def dependents(graph: keras.Model, sources: Iterable[Any]) -> set[int]:
    """The `id`s of all tensors of a functional model that depend on the sources, and of these themselves.

    Where the batch size is open, tensors without an open axis do not: they depend on shapes alone.
    """
    sources = list(sources)
    found = {id(tensor) for tensor in sources}
    is_open = any(tensor.shape[0] is None for tensor in sources)
    for call in flat_calls(graph):
        if any(id(tensor) in found for tensor in call.inputs):
            found |= {id(x) for x in call.outputs if not is_open or None in x.shape}
    return found


def final_activation(operation: Any) -> str | None:
    """The function from logits to scores that a layer or operation applies: "softmax", "sigmoid" or None.

    A classifier that ends with the logarithm of a softmax has the scores of a softmax.
    """
    name = plain_name(activation_name(operation) or type(operation).__name__)
    return {"softmax": "softmax", "logsoftmax": "softmax", "sigmoid": "sigmoid"}.get(name)


def leaves_activation_out(call: FlatCall, logits: Any) -> bool:
    """Whether a call is that of a classifier's last layer, whose activation turns logits into scores."""
    return call.outputs[0] is logits and final_activation(call.operation) is not None


def followed_inputs(call: FlatCall, dependent: Container[int], logits: Any) -> list[Any] | None:
    """The inputs in which an operation is affine, while its other inputs are held fixed.

    Held fixed are statistics of the image: one number per image that multiplies or divides, and the weights
    of an attention.

    Args:
        call: a call in a flat graph.
        dependent: the `id`s of the tensors that depend on the image.
        logits: the end of the graph.

    Returns:
        Inputs that depend on the image; None if the operation is not affine in them.
    """
    operation = call.operation
    inputs = list({id(tensor): tensor for tensor in call.inputs if id(tensor) in dependent}.values())
    kind = _kind(operation)
    is_linear = activation_name(operation) in (None, "linear") or leaves_activation_out(call, logits)
    if not is_linear:
        return None
    is_affine = kind in AFFINE_RULES or kind in NORMALIZATION_RULES
    if is_affine or isinstance(operation, keras.layers.Activation):
        return inputs
    if kind in _PRODUCTS:
        return _PRODUCTS[kind](call, inputs)
    return None


def _kind(operation: Any) -> str | None:
    """The class of Keras that computes as an operation does."""
    own: Any = type(operation)
    for kind in own.__mro__:
        if kind.__module__.startswith(("keras.", "keras_cam.")):
            return kind.__name__ if own.call is kind.call else None
    return None


def _factor(call: FlatCall, inputs: list[Any]) -> list[Any] | None:
    """The factor that is not one number per image."""
    factors = inputs if len(inputs) == 1 else [x for x in inputs if not _is_one_number(x)]
    return factors if len(factors) == 1 and len(call.inputs) == len({*map(id, call.inputs)}) else None


def _dividend(call: FlatCall, inputs: list[Any]) -> list[Any] | None:
    first, *others = call.inputs
    divisors = [x for x in others if any(x is one for one in inputs)]
    is_dividend = call.symbolic_arguments[0][0] is first and any(first is one for one in inputs)
    return [first] if is_dividend and all(_is_one_number(x) for x in divisors) else None


def _attended(call: FlatCall, inputs: list[Any]) -> list[Any] | None:
    """What a matrix product averages with weights of an attention."""
    averaged = inputs if len(inputs) == 1 else [x for x in inputs if not _is_attention(x)]
    return averaged if len(averaged) == 1 else None


def _attention_value(call: FlatCall, inputs: list[Any]) -> list[Any] | None:
    """The value of an attention whose query does not depend on the image."""
    args, kwargs = call.symbolic_arguments
    given = {**dict(zip(("query", "value"), args, strict=False)), **kwargs}
    return None if any(x is given["query"] for x in inputs) else [given["value"]]


def _is_one_number(tensor: Any) -> bool:
    return all(size == 1 for size in tensor.shape[1:])


def _is_attention(tensor: Any) -> bool:
    operation = flat_call_of(tensor).operation
    while _kind(operation) in _REARRANGEMENTS:
        tensor = sources_of(tensor)[0]
        operation = flat_call_of(tensor).operation
    return activation_name(operation) == "softmax"


_PRODUCTS = {
    "Multiply": _factor,
    "Divide": _dividend,
    "TrueDivide": _dividend,
    "Matmul": _attended,
    "MultiHeadAttention": _attention_value,
}
