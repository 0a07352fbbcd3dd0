"""Gradients of activation functions, out of operations that every exported format has.

A gradient takes (x, y, g): the argument of the activation, its value (B, ...), and the cotangents of the
value (B, K, ...). It returns the cotangents of the argument.
"""

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

from keras import ops

Gradient = Callable[[Any, Any, Any], Any]


def of_all_classes(values: Any) -> Any:
    """Values (B, ...) as (B, 1, ...), to be combined with cotangents (B, K, ...)."""
    return ops.expand_dims(values, 1)


def softmax_gradient(y: Any, g: Any, axis: int = -1) -> Any:
    """The cotangents of the argument of a softmax with values `y`; `axis` counts from the end."""
    weighted = g * of_all_classes(y)
    return weighted - of_all_classes(y) * ops.sum(weighted, axis=axis, keepdims=True)


def activation_gradient(function: Any) -> Gradient | None:
    """The gradient of an activation function of Keras or TensorFlow; None for others."""
    name = getattr(function, "__name__", type(function).__name__)
    known = getattr(function, "__module__", "").startswith(("keras.", "tensorflow."))
    return GRADIENTS.get(plain_name(name)) if known else None


def plain_name(name: str) -> str:
    """The name of an activation, without what differs between functions, operations and layers.

    Examples:
        >>> plain_name("hard_silu"), plain_name("HardSilu"), plain_name("softmax_v2")
        ('hardsilu', 'hardsilu', 'softmax')
    """
    return name.lower().replace("_", "").removesuffix("v2")


def _elementwise(derivative: Callable[[Any, Any], Any]) -> Gradient:
    return lambda x, y, g: g * of_all_classes(derivative(x, y))


def _where(condition: Any, x: Any) -> Any:
    return ops.cast(condition, x.dtype)


def _silu(x: Any, y: Any) -> Any:
    s = ops.sigmoid(x)
    return s * (1 + x * (1 - s))


def _hard_silu(x: Any, y: Any) -> Any:
    inside = _where(x > -3, x) * _where(x < 3, x)
    return inside * (x / 3 + 0.5) + _where(x >= 3, x)


def _gelu(x: Any, y: Any) -> Any:
    """Phi(x) + x phi(x), with Phi(x) = gelu(x) / x, for LiteRT has GELU but no error function."""
    small = ops.abs(x) < 1e-3
    density = ops.exp(-0.5 * x * x) / sqrt(2 * pi)
    return ops.where(small, 0.5 + x / sqrt(2 * pi), y / ops.where(small, 1.0, x)) + x * density


def gelu_tanh(x: Any, y: Any) -> Any:
    """The derivative of the approximate GELU."""
    c, cubic = sqrt(2 / pi), 0.044715
    t = ops.tanh(c * (x + cubic * x * x * x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * cubic * x * x)


GRADIENTS: dict[str, Gradient] = {
    "linear": lambda x, y, g: g,
    "relu": _elementwise(lambda x, y: _where(x > 0, x)),
    "relu6": _elementwise(lambda x, y: _where(x > 0, x) * _where(x < 6, x)),
    "sigmoid": _elementwise(lambda x, y: y * (1 - y)),
    "tanh": _elementwise(lambda x, y: 1 - y * y),
    "silu": _elementwise(_silu),
    "swish": _elementwise(_silu),
    "gelu": _elementwise(_gelu),
    "hardsigmoid": _elementwise(lambda x, y: _where(x > -3, x) * _where(x < 3, x) / 6),
    "hardsilu": _elementwise(_hard_silu),
    "hardswish": _elementwise(_hard_silu),
    "softplus": _elementwise(lambda x, y: ops.sigmoid(x)),
    "elu": _elementwise(lambda x, y: ops.where(x > 0, 1.0, y + 1)),
    "exp": _elementwise(lambda x, y: y),
    "exponential": _elementwise(lambda x, y: y),
    "log": _elementwise(lambda x, y: 1 / x),
    "sqrt": _elementwise(lambda x, y: 0.5 / y),
    "rsqrt": _elementwise(lambda x, y: -0.5 * y * y * y),
    "square": _elementwise(lambda x, y: 2 * x),
    "reciprocal": _elementwise(lambda x, y: -y * y),
    "absolute": _elementwise(lambda x, y: ops.sign(x)),
    "softmax": lambda x, y, g: softmax_gradient(y, g),
    "logsoftmax": lambda x, y, g: g - of_all_classes(ops.exp(y)) * ops.sum(g, axis=-1, keepdims=True),
}
"""By `plain_name`. Elementwise operations of `keras.ops` are found here as well."""
