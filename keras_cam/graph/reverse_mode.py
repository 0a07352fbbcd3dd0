"""Run a graph forwards, then backwards: the gradients of its output.

Uses TensorFlow's `GradientTape` directly for operations without a rule; Keras has no gradients of its own.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_cam.graph.activation_gradients import activation_gradient, of_all_classes
from keras_cam.graph.flat_call import FlatCall, flat_calls
from keras_cam.graph.gradient_rules import NoRuleError, Step, find_rule
from keras_cam.graph.keras_internals import takes_training
from keras_cam.graph.linearity import dependents, followed_inputs, leaves_activation_out
from keras_cam.graph.operation_kinds import activation_name
from keras_cam.layers.class_activation_head import kernel_of


class ReverseMode:
    """A head that was run, and whose gradients can be computed.

    Args:
        head: a flat functional model with one output. A softmax or sigmoid of its last layer is left out.
        inputs: values of its inputs, (B, ...).
        sources: the number of inputs, from the first, whose gradients are wanted.
        held: whether statistics of the image count as constants, see `followed_inputs`.

    Attributes:
        inputs: the values of the inputs; floats as float32.
        output: the value of the output, float32.
        taped: the names of the operations whose gradient had no rule, after a call of `gradients`.
    """

    def __init__(self, head: keras.Model, inputs: Sequence[Any], sources: int, held: bool = False) -> None:
        self._output, self._sources, self._held = head.outputs[0], head.inputs[:sources], held
        self._values = {id(x): _in_float32(value) for x, value in zip(head.inputs, inputs, strict=True)}
        self._dependent = dependents(head, self._sources)
        self._calls = flat_calls(head)
        self._before_activation: dict[int, Any] = {}
        self._classes: Any = None
        self.taped: list[str] = []
        for call in self._calls:
            self._run(call)
        self.output = ops.cast(self._values[id(self._output)], "float32")
        self.inputs = [self._values[id(x)] for x in head.inputs]

    def gradients(self, cotangents: Any) -> list[Any]:
        """From cotangents of the output (B, K, N) to those of the first inputs, (B, K, ...) each."""
        found: dict[int, Any] = {id(self._output): cotangents}
        self._classes = ops.shape(cotangents)[1]
        for call in reversed(self._calls):
            given = [found.get(id(tensor)) for tensor in call.outputs]
            if any(g is not None for g in given):
                self._pull_back(call, given, found)
        return [found[id(source)] for source in self._sources]

    def _run(self, call: FlatCall) -> None:
        args, kwargs = call.arguments(self._values)
        if _has_activation(call.operation):
            before = self._before_activation[id(call)] = _affine_part(call.operation, args[0])
            is_last = leaves_activation_out(call, self._output)
            results = before if is_last else call.operation.activation(before)
        else:
            results = _run(call.operation, args, kwargs)
        for tensor, value in zip(call.outputs, keras.tree.flatten(results), strict=True):
            self._values[id(tensor)] = value

    def _pull_back(self, call: FlatCall, given: list[Any], found: dict[int, Any]) -> None:
        """Add the cotangents of the inputs of a call to those found so far."""
        wanted = [tensor for tensor in call.inputs if id(tensor) in self._dependent]
        if self._held:
            wanted = followed_inputs(call, self._dependent, self._output) or []
        wanted_ids = {id(tensor) for tensor in wanted}
        if not wanted_ids:
            return
        for tensor, g in zip(call.inputs, self._cotangents(call, given), strict=True):
            if g is not None and id(tensor) in wanted_ids:
                found[id(tensor)] = found[id(tensor)] + g if id(tensor) in found else g

    def _cotangents(self, call: FlatCall, given: list[Any]) -> list[Any]:
        """The cotangents of the inputs of a call, by its rule or else by a tape."""
        outputs = [self._values[id(tensor)] for tensor in call.outputs]
        given = [self._zeros(y) if g is None else g for g, y in zip(given, outputs, strict=True)]
        args, kwargs = call.arguments(self._values)
        symbolic_args, symbolic_kwargs = call.symbolic_arguments
        keywords = [name for name in sorted(kwargs) if isinstance(symbolic_kwargs[name], keras.KerasTensor)]
        operands = [*keras.tree.flatten(args), *(kwargs[name] for name in keywords)]
        symbols = [*keras.tree.flatten(symbolic_args), *(symbolic_kwargs[name] for name in keywords)]
        several = len(outputs) > 1
        output = outputs if several else outputs[0]
        step = Step(call.operation, args, kwargs, operands, output, self._classes, self._held)
        rule = find_rule(call.operation)
        try:
            if rule is None:
                raise NoRuleError
            g = self._before(call, step, given[0]) if not several else given
            results = [*rule(step, g), *[None] * len(operands)]
            return [g for g, symbol in zip(results, symbols, strict=False) if _is_symbolic(symbol)]
        except NoRuleError:
            self.taped.append(call.operation.name)
            return self._by_tape(call, given)

    def _before(self, call: FlatCall, step: Step, g: Any) -> Any:
        """The cotangents of a layer's affine part, from those of its activation."""
        before = self._before_activation.get(id(call))
        if before is None or step.output is before:
            return g
        gradient = activation_gradient(call.operation.activation)
        if gradient is None:
            raise NoRuleError
        return gradient(before, step.output, g)

    def _zeros(self, y: Any) -> Any:
        """The cotangents of an output that nothing depends on."""
        return ops.repeat(of_all_classes(ops.zeros_like(y)), self._classes, axis=1)

    def _by_tape(self, call: FlatCall, given: list[Any]) -> list[Any]:
        """Cotangents by TensorFlow's own gradient, for a copy of the batch per class."""
        classes = self._classes
        copies = {id(x): ops.repeat(self._values[id(x)], classes, axis=0) for x in call.inputs}
        with tf.GradientTape() as tape:
            tape.watch(copies)
            args, kwargs = call.arguments(copies)
            outputs = keras.tree.flatten(_run(call.operation, args, kwargs))
        folded = [ops.reshape(g, (-1, *ops.shape(g)[2:])) for g in given]
        found = tape.gradient(outputs, copies, output_gradients=folded)
        found = {
            name: ops.reshape(g, (-1, classes, *ops.shape(g)[1:]))
            for name, g in found.items()
            if g is not None
        }
        # An input that is given twice gets its cotangents once.
        return [found.pop(id(x), None) for x in call.inputs]


def has_batch(head: keras.Model) -> list[bool]:
    """For each input of a head, whether it has the batch axis of the first, the features.

    What depends on the shape of the images alone has none.
    """
    is_open = head.inputs[0].shape[0] is None
    return [not is_open or None in x.shape for x in head.inputs]


def _is_symbolic(argument: Any) -> bool:
    return isinstance(argument, keras.KerasTensor)


def _in_float32(value: Any) -> Any:
    value = ops.convert_to_tensor(value)
    return ops.cast(value, "float32") if keras.backend.is_float_dtype(value.dtype) else value


def _run(operation: Any, args: Any, kwargs: Any) -> Any:
    """Run a layer at inference, in float32: its `call` itself does not cast to the layer's precision."""
    if not isinstance(operation, keras.layers.Layer) or getattr(operation, "quantization_mode", None):
        return operation(*args, **kwargs)
    # `__call__`, which the graph recorded, takes `training` for any layer.
    kwargs = {name: value for name, value in kwargs.items() if name != "training"}
    if takes_training(operation):
        kwargs["training"] = False
    return operation.call(*args, **kwargs)


def _has_activation(operation: Any) -> bool:
    """Whether a layer with weights applies a nonlinear activation at its end."""
    known = isinstance(operation, keras.layers.Dense | keras.layers.EinsumDense) or (
        hasattr(operation, "convolution_op") and hasattr(operation, "kernel")
    )
    return known and activation_name(operation) not in (None, "linear")


def _affine_part(layer: Any, x: Any) -> Any:
    """What a layer computes before its activation."""
    kernel = kernel_of(layer)
    if isinstance(layer, keras.layers.Dense):
        y = ops.matmul(x, kernel)
    elif isinstance(layer, keras.layers.EinsumDense):
        y = ops.einsum(layer.equation, x, kernel)
    else:
        y = layer.convolution_op(x, kernel)
        if layer.use_bias and layer.data_format == "channels_first":
            return y + ops.reshape(ops.cast(layer.bias, "float32"), (1, -1, *[1] * (len(y.shape) - 2)))
    return y if layer.bias is None else y + ops.cast(layer.bias, "float32")
