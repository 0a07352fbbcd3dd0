"""The gradient of each kind of operation, out of operations that every exported format has.

A rule takes a `Step` and the cotangents (B, K, ...) of its output, for K classes of each image. It returns
the cotangents of its arguments, in order. Values are (B, ...), so one forward pass serves all classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

import keras
from keras import ops

from keras_cam.graph.activation_gradients import (
    GRADIENTS,
    activation_gradient,
    gelu_tanh,
    of_all_classes,
    plain_name,
    softmax_gradient,
)
from keras_cam.graph.operation_kinds import IDENTITIES, RESHAPES
from keras_cam.layers.class_activation_head import channel_affine, kernel_of


@dataclass(frozen=True)
class Step:
    """An operation that was run.

    Attributes:
        operation: the layer or operation.
        args: its positional arguments, values (B, ...) or constants.
        kwargs: its keyword arguments.
        operands: all positional arguments, without nesting, and the tensors among the keyword arguments, in
            the order of their names.
        output: its value.
        classes: K.
        held: whether statistics of the image count as constants, so that the operation is affine.
    """

    operation: Any
    args: Any
    kwargs: Any
    operands: list[Any]
    output: Any
    classes: Any
    held: bool = False

    @property
    def x(self) -> Any:
        """The first argument."""
        return self.operands[0]


Rule = Callable[[Step, Any], list[Any]]


class NoRuleError(Exception):
    """An operation has no rule for these arguments."""


def find_rule(operation: Any) -> Rule | None:
    """The rule for an operation, which holds for subclasses that do not override `call`."""
    own: Any = type(operation)
    for kind in own.__mro__:
        if kind.__name__ in RULES and own.call is kind.call:
            return RULES[kind.__name__]
    name = plain_name(type(operation).__name__)
    if not isinstance(operation, keras.layers.Layer) and name in GRADIENTS:
        return lambda step, g: [GRADIENTS[name](step.x, step.output, g)]
    return None


def _shaped_like_x(step: Step, g: Any) -> Any:
    # Not the shape of `g`: tf2onnx takes that of its source where it joins two reshapes.
    return ops.reshape(g, (-1, step.classes, *ops.shape(step.x)[1:]))


def _identity(step: Step, g: Any) -> list[Any]:
    return [g]


def _same_elements(step: Step, g: Any) -> list[Any]:
    return [_shaped_like_x(step, g)]


def _activation(step: Step, g: Any) -> list[Any]:
    gradient = activation_gradient(step.operation.activation)
    if gradient is None:
        raise NoRuleError
    return [gradient(step.x, step.output, g)]


def _relu(step: Step, g: Any) -> list[Any]:
    """The `ReLU` and `LeakyReLU` layers and the operation."""
    layer, x = step.operation, step.x
    if getattr(layer, "threshold", 0):
        raise NoRuleError
    slope, limit = getattr(layer, "negative_slope", 0) or 0, getattr(layer, "max_value", None)
    inside = x > 0 if limit is None else ops.logical_and(x > 0, x < limit)
    return [g * of_all_classes(ops.where(inside, 1.0, ops.where(x > 0, 0.0, float(slope))))]


def _gelu(step: Step, g: Any) -> list[Any]:
    if step.operation.approximate:
        return [g * of_all_classes(gelu_tanh(step.x, step.output))]
    return [GRADIENTS["gelu"](step.x, step.output, g)]


def _softmax(step: Step, g: Any) -> list[Any]:
    axis = step.operation.axis
    if not isinstance(axis, int) or len(step.operands) > 1 or step.kwargs.get("mask") is not None:
        raise NoRuleError
    return [softmax_gradient(step.output, g, axis - len(step.x.shape) if axis >= 0 else axis)]


def _dense(step: Step, g: Any) -> list[Any]:
    return [ops.matmul(g, ops.transpose(kernel_of(step.operation)))]


def _einsum_dense(step: Step, g: Any) -> list[Any]:
    equation = step.operation.equation
    if "..." in equation or "Z" in equation:
        raise NoRuleError
    inputs, kernel, result = equation.replace("->", ",").split(",")
    equation = f"{result[0]}Z{result[1:]},{kernel}->{inputs[0]}Z{inputs[1:]}"
    return [ops.einsum(equation, g, kernel_of(step.operation))]


def _convolution(step: Step, g: Any) -> list[Any]:
    """A convolution that is a matrix product: 1x1, or over the whole input."""
    layer, kernel = step.operation, kernel_of(step.operation)
    window, channels_first = kernel.shape[:-2], layer.data_format == "channels_first"
    if layer.groups > 1 or channels_first:
        raise NoRuleError
    if prod(window) == 1 and prod(layer.strides) == 1:
        return [ops.matmul(g, ops.transpose(ops.reshape(kernel, kernel.shape[-2:])))]
    if tuple(step.x.shape[1:-1]) != tuple(window) or layer.padding != "valid":
        raise NoRuleError
    flat = ops.reshape(kernel, (-1, kernel.shape[-1]))
    return [_shaped_like_x(step, ops.matmul(g, ops.transpose(flat)))]


def _depthwise_convolution(step: Step, g: Any) -> list[Any]:
    """A depthwise convolution over the whole input: channels weighted by position."""
    layer, kernel = step.operation, kernel_of(step.operation)  # (*window, C, multiplier)
    whole = tuple(step.x.shape[1:-1]) == tuple(kernel.shape[:-2]) and layer.padding == "valid"
    is_linear = layer.activation is keras.activations.linear
    if not (whole and is_linear) or layer.data_format == "channels_first":
        raise NoRuleError
    g = ops.reshape(g, (-1, step.classes, *[1] * len(kernel.shape[:-2]), *kernel.shape[-2:]))
    return [ops.sum(g * kernel, axis=-1)]


def _batch_normalization(step: Step, g: Any) -> list[Any]:
    layer, rank = step.operation, len(step.x.shape)
    scale, _ = channel_affine(layer)
    return [g * ops.reshape(scale, (-1, *[1] * (rank - layer.axis % rank - 1)))]


def _layer_normalization(step: Step, g: Any) -> list[Any]:
    layer = step.operation
    axes = _axes(layer.axis, step.x)
    centered = step.x - ops.mean(step.x, axis=axes, keepdims=True)
    g = g * _scale_of(layer, "gamma", axes, step.x) if layer.scale else g
    return [_normalized(step, g, centered, layer.epsilon, axes, center=True)]


def _rms_normalization(step: Step, g: Any) -> list[Any]:
    layer = step.operation
    axes = _axes(layer.axis, step.x)
    g = g * _scale_of(layer, "scale", axes, step.x)
    return [_normalized(step, g, step.x, layer.epsilon, axes, center=False)]


def _scale_of(layer: Any, name: str, axes: list[int], x: Any) -> Any:
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(len(x.shape))]
    return ops.reshape(ops.cast(getattr(layer, name), "float32"), (1, *shape))


def _normalized(step: Step, g: Any, x: Any, epsilon: float, axes: list[int], center: bool) -> Any:
    """The gradient of x / sqrt(mean(x^2) + epsilon), of which `held` fixes the denominator."""
    inverse = ops.rsqrt(ops.mean(ops.square(x), axis=axes, keepdims=True) + epsilon)
    later = [axis + 1 for axis in axes]
    if center:
        g = g - ops.mean(g, axis=later, keepdims=True)
    if not step.held:
        unit = of_all_classes(x * inverse)
        g = g - unit * ops.mean(g * unit, axis=later, keepdims=True)
    return g * of_all_classes(inverse)


def _unit_normalization(step: Step, g: Any) -> list[Any]:
    axes = _axes(step.operation.axis, step.x)
    later = [axis + 1 for axis in axes]
    inverse = ops.rsqrt(ops.maximum(ops.sum(ops.square(step.x), axis=axes, keepdims=True), 1e-12))
    if not step.held:
        unit = of_all_classes(step.x * inverse)
        g = g - unit * ops.sum(g * unit, axis=later, keepdims=True)
    return [g * of_all_classes(inverse)]


def _normalize(step: Step, g: Any) -> list[Any]:
    if step.operation.order not in (2, None):
        raise NoRuleError
    return _unit_normalization(step, g)


def _axes(axis: Any, x: Any) -> list[int]:
    rank = len(x.shape)
    axes = range(1, rank) if axis is None else axis if isinstance(axis, list | tuple) else [axis]
    return sorted(one % rank for one in axes)


def _global_axes(step: Step) -> list[int]:
    last = len(step.x.shape) - 1
    return list(range(2, last + 1) if step.operation.data_format == "channels_first" else range(1, last))


def _with_axes(values: Any, axes: list[int], keepdims: bool, shift: int = 0) -> Any:
    """Values with reduced axes of length 1; `shift` is 1 for cotangents."""
    if keepdims:
        return values
    for axis in axes:
        values = ops.expand_dims(values, axis + shift)
    return values


def _spread(step: Step, g: Any, axes: list[int], mean: bool) -> list[Any]:
    """Cotangents of a sum or mean over axes: the same at every position."""
    ones = ops.ones_like(step.x)
    if mean:
        ones = ones / ops.cast(ops.prod([ops.shape(step.x)[axis] for axis in axes]), ones.dtype)
    return [_with_axes(g, axes, step.operation.keepdims, 1) * of_all_classes(ones)]


def _global_average(step: Step, g: Any) -> list[Any]:
    if len(step.operands) > 1 or step.kwargs.get("mask") is not None:
        raise NoRuleError
    return _spread(step, g, _global_axes(step), mean=True)


def _mean(step: Step, g: Any) -> list[Any]:
    return _spread(step, g, _axes(step.operation.axis, step.x), mean=True)


def _sum(step: Step, g: Any) -> list[Any]:
    return _spread(step, g, _axes(step.operation.axis, step.x), mean=False)


def _maximum_over(step: Step, g: Any, axes: list[int]) -> list[Any]:
    highest = _with_axes(step.output, axes, step.operation.keepdims)
    where = ops.cast(ops.equal(step.x, highest), step.x.dtype)
    where = where / ops.sum(where, axis=axes, keepdims=True)
    return [_with_axes(g, axes, step.operation.keepdims, 1) * of_all_classes(where)]


def _global_maximum(step: Step, g: Any) -> list[Any]:
    return _maximum_over(step, g, _global_axes(step))


def _max(step: Step, g: Any) -> list[Any]:
    return _maximum_over(step, g, _axes(step.operation.axis, step.x))


def _average_pooling(step: Step, g: Any) -> list[Any]:
    """Average pooling with windows that tile the input, or at most leave its end out."""
    layer, x = step.operation, step.x
    if layer.data_format == "channels_first" or tuple(layer.pool_size) != tuple(layer.strides):
        raise NoRuleError
    sizes = x.shape[1:-1]
    tiled = all(size and size % window == 0 for size, window in zip(sizes, layer.pool_size, strict=True))
    if not tiled and (layer.padding == "same" or None in sizes):
        raise NoRuleError
    rests = [0, 0]
    for axis, (size, window) in enumerate(zip(sizes, layer.pool_size, strict=True), start=2):
        g = ops.repeat(g, window, axis=axis)
        rests.append(size % window)
    if any(rests):
        g = ops.pad(g, [(0, rest) for rest in [*rests, 0]])
    return [g / prod(layer.pool_size)]


def _transpose(step: Step, g: Any) -> list[Any]:
    order = getattr(step.operation, "axes", None) or getattr(step.operation, "dims", None)
    if order is None:
        raise NoRuleError
    order = order if len(order) == len(step.x.shape) else (0, *order)
    if order[0] != 0:
        raise NoRuleError
    back = sorted(range(1, len(order)), key=lambda axis: order[axis])
    return [ops.transpose(g, (0, 1, *(axis + 1 for axis in back)))]


def _concatenate(step: Step, g: Any) -> list[Any]:
    axis = step.operation.axis % len(step.x.shape)
    sizes = [x.shape[axis] for x in step.operands]
    if axis == 0 or None in sizes:
        raise NoRuleError
    return ops.split(g, list(accumulate(sizes))[:-1], axis=axis + 1)


def _stack(step: Step, g: Any) -> list[Any]:
    axis = step.operation.axis % (len(step.x.shape) + 1)
    return ops.unstack(g, len(step.operands), axis + 1)


def _add(step: Step, g: Any) -> list[Any]:
    return [_if_batched(g, x) for x in step.operands]


def _subtract(step: Step, g: Any) -> list[Any]:
    minuend, subtrahend = step.operands
    return [_if_batched(g, minuend), _if_batched(-g, subtrahend)]


def _negative(step: Step, g: Any) -> list[Any]:
    return [-g]


def _average(step: Step, g: Any) -> list[Any]:
    if not isinstance(step.operation, keras.layers.Layer):  # `keras.ops.average` reduces axes
        raise NoRuleError
    return [_if_batched(g / len(step.operands), x) for x in step.operands]


def _multiply(step: Step, g: Any) -> list[Any]:
    found = []
    for index, x in enumerate(step.operands):
        others = [other for place, other in enumerate(step.operands) if place != index]
        product = g
        for other in others:
            product = product * _beside_cotangents(other, g)
        found.append(_if_batched(product, x))
    return found


def _divide(step: Step, g: Any) -> list[Any]:
    x, y = step.operands
    of_x = g / _beside_cotangents(y, g)
    return [_if_batched(of_x, x), _if_batched(-of_x * _beside_cotangents(step.output, g), y)]


def _if_batched(g: Any, x: Any) -> Any:
    """Cotangents of one operand, summed over the axes along which it was repeated; None for a constant."""
    if not _has_batch(x, g):
        return None
    axes = [axis for axis in range(2, len(g.shape)) if x.shape[axis - 1] == 1 != g.shape[axis]]
    return ops.sum(g, axis=axes, keepdims=True) if axes else g


def _beside_cotangents(x: Any, g: Any) -> Any:
    """An operand (B, ...) or constant, to be combined with cotangents."""
    return of_all_classes(x) if _has_batch(x, g) else x


def _has_batch(x: Any, g: Any) -> bool:
    """Whether an operand has all axes of the cotangents (B, K, ...) but that of the classes."""
    return len(getattr(x, "shape", ())) + 1 == len(g.shape)


def _matmul(step: Step, g: Any) -> list[Any]:
    x, y = step.operands
    if len(x.shape) < 2 or len(y.shape) not in (2, len(x.shape)):
        raise NoRuleError
    if len(x.shape) == 2 or len(y.shape) == 2:  # a constant matrix
        return [ops.matmul(g, ops.transpose(y)), None]
    swap = (*range(len(x.shape) - 1), len(x.shape), len(x.shape) - 1)
    x, y = of_all_classes(x), of_all_classes(y)
    return [ops.matmul(g, ops.transpose(y, swap)), ops.matmul(ops.transpose(x, swap), g)]


def _get_item(step: Step, g: Any) -> list[Any]:
    x, key = step.args[0], step.args[1] if len(step.args) > 1 else step.kwargs["key"]
    key = tuple(key) if isinstance(key, list | tuple) else (key,)
    if Ellipsis in key:
        place = key.index(Ellipsis)
        key = (*key[:place], *[slice(None)] * (len(x.shape) - len(key) + 1), *key[place + 1 :])
    if not key or key[0] != slice(None):
        raise NoRuleError
    for axis, part in enumerate(key[1:], start=1):
        g = _put_back(g, x, axis, part)
    return [g]


def _take(step: Step, g: Any) -> list[Any]:
    x, index = step.args[0], step.args[1] if len(step.args) > 1 else step.kwargs["indices"]
    axis = step.operation.axis
    if axis is None or axis % len(x.shape) == 0 or not isinstance(index, int):
        raise NoRuleError
    return [_put_back(g, x, axis % len(x.shape), index)]


def _put_back(g: Any, x: Any, axis: int, part: Any) -> Any:
    """Cotangents of an index or a slice of an axis, at its place among zeros."""
    if part == slice(None):
        return g
    size = x.shape[axis]
    if size is None or not isinstance(part, int | slice):
        raise NoRuleError
    if isinstance(part, int):
        g, first, last = ops.expand_dims(g, axis + 1), part % size, part % size + 1
    else:
        first, last, step_size = part.indices(size)
        if step_size != 1:
            raise NoRuleError
    margins = [(0, 0)] * len(g.shape)
    margins[axis + 1] = (first, size - last)
    return ops.pad(g, margins)


def _rescaling(step: Step, g: Any) -> list[Any]:
    return [g * ops.cast(ops.convert_to_tensor(step.operation.scale), "float32")]


def _multi_head_attention(step: Step, g: Any) -> list[Any]:
    """Attention over one axis, without masks. `held` fixes the attention weights."""
    layer = step.operation
    options = {name: value for name, value in step.kwargs.items() if name not in _ATTENTION_ROLES}
    roles = [*_ATTENTION_ROLES[: len(step.args)], *sorted(step.kwargs.keys() & set(_ATTENTION_ROLES))]
    given = dict(zip(roles, step.operands, strict=False))
    if len(step.x.shape) != 3 or len(given) != len(step.operands) or any(options.values()):
        raise NoRuleError
    given.setdefault("key", given["value"])
    query, value, key = (
        _projected(getattr(layer, f"{role}_dense"), given[role]) for role in _ATTENTION_ROLES
    )
    scale = float(layer.key_dim) ** -0.5
    weights = ops.softmax(ops.einsum("bqhd,bthd->bhqt", query * scale, key), axis=-1)
    g = ops.einsum("bnqc,hdc->bnqhd", g, kernel_of(layer.output_dense))
    found = {"value": ops.einsum("bhqt,bnqhd->bnthd", weights, g)}
    if not step.held:
        g = softmax_gradient(weights, ops.einsum("bnqhd,bthd->bnhqt", g, value)) * scale
        found["query"] = ops.einsum("bnhqt,bthd->bnqhd", g, key)
        found["key"] = ops.einsum("bnhqt,bqhd->bnthd", g, query)
    found = {role: _unprojected(getattr(layer, f"{role}_dense"), g) for role, g in found.items()}
    if "key" in found and "key" not in roles:
        found["value"] = found["value"] + found.pop("key")
    return [found.get(role) for role in roles]


_ATTENTION_ROLES = ("query", "value", "key")


def _projected(layer: Any, x: Any) -> Any:
    y = ops.einsum("btc,chd->bthd", x, kernel_of(layer))
    return y if layer.bias is None else y + ops.cast(layer.bias, "float32")


def _unprojected(layer: Any, g: Any) -> Any:
    return ops.einsum("bnthd,chd->bntc", g, kernel_of(layer))


AFFINE_RULES: dict[str, Rule] = {
    **dict.fromkeys(IDENTITIES, _identity),
    **dict.fromkeys(RESHAPES, _same_elements),
    **dict.fromkeys(("Permute", "Transpose"), _transpose),
    "GetItem": _get_item,
    "Take": _take,
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise_convolution),
    "BatchNormalization": _batch_normalization,
    "Rescaling": _rescaling,
    **{f"GlobalAveragePooling{rank}D": _global_average for rank in (1, 2, 3)},
    **{f"AveragePooling{rank}D": _average_pooling for rank in (1, 2, 3)},
    "Mean": _mean,
    "Sum": _sum,
    "Concatenate": _concatenate,
    "Stack": _stack,
    "Add": _add,
    "Subtract": _subtract,
    "Negative": _negative,
    "Average": _average,
}
"""Operations that are affine in all of their inputs together, but for an activation at their end."""

NORMALIZATION_RULES: dict[str, Rule] = {
    "LayerNormalization": _layer_normalization,
    "RMSNormalization": _rms_normalization,
    "Normalize": _normalize,
    "UnitNormalization": _unit_normalization,
}
"""Operations that are affine if statistics of the image are held fixed: a standard deviation, a length."""

RULES: dict[str, Rule] = {
    **AFFINE_RULES,
    **NORMALIZATION_RULES,
    "Activation": _activation,
    **dict.fromkeys(("LeakyReLU", "LeakyRelu", "ReLU"), _relu),
    "Gelu": _gelu,
    "Softmax": _softmax,
    **{f"GlobalMaxPooling{rank}D": _global_maximum for rank in (1, 2, 3)},
    **dict.fromkeys(("Amax", "Max"), _max),
    "Multiply": _multiply,
    **dict.fromkeys(("Divide", "TrueDivide"), _divide),
    "Matmul": _matmul,
    "MultiHeadAttention": _multi_head_attention,
}
"""By the name of the class of a layer of Keras or of an operation of `keras.ops`; see also `GRADIENTS`.

A new rule belongs into the first table of which what it says is true: there, maps through it are exact.
"""
