"""A call of one layer or operation in a flat graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import keras

from keras_cam.graph.cursor import is_graph
from keras_cam.graph.keras_internals import arguments_of, call_of, calls_in


@dataclass(frozen=True)
class FlatCall:
    """A call of one layer or operation in a flat graph.

    Attributes:
        operation: the layer or operation.
        inputs: the KerasTensors among its arguments.
        outputs: the KerasTensors that it returns.
    """

    operation: Any
    inputs: list[Any]
    outputs: list[Any]
    _call: Any

    def arguments(self, values: Mapping[int, Any]) -> tuple[Any, Any]:
        """`(args, kwargs)`, with a value for each KerasTensor, by its `id`."""
        pairs = zip(self._call.input_tensors, self.inputs, strict=True)
        return arguments_of(self._call, {id(given): values[id(tensor)] for given, tensor in pairs})

    @property
    def symbolic_arguments(self) -> tuple[Any, Any]:
        """`(args, kwargs)`, with KerasTensors."""
        return self.arguments({id(tensor): tensor for tensor in self.inputs})

    @property
    def keeps_batch(self) -> bool:
        """Whether the first axis of what it returns is that of the images, as far as shapes tell."""
        shapes = [tuple(x.shape) for x in self.outputs if None in x.shape]
        if not all(shape[0] is None for shape in shapes):
            return False
        if not type(self.operation).__name__.startswith("Reshape"):
            return True
        sizes = {prod(x.shape[1:]) for x in (*self.inputs, *self.outputs) if None not in x.shape[1:]}
        return len(sizes) < 2


def flat_calls(graph: keras.Model) -> list[FlatCall]:
    """All calls in a flat graph, from its inputs to its outputs."""
    return [_flat(call) for call in calls_in(graph) if not call.is_input]


def flat_call_of(tensor: Any) -> FlatCall:
    """The call that computed a KerasTensor of a flat graph."""
    return _flat(call_of(tensor))


def _flat(call: Any) -> FlatCall:
    """The call itself, or the only one of a nested model, see `flat_graph`."""
    if not is_graph(call.operation):
        return FlatCall(call.operation, call.input_tensors, call.outputs, call)
    [alone] = [inside for inside in calls_in(call.operation) if not inside.is_input]
    given = {id(x): tensor for x, tensor in zip(call.operation.inputs, call.input_tensors, strict=True)}
    inputs = [given[id(x)] for x in alone.input_tensors]
    return FlatCall(alone.operation, inputs, call.outputs, alone)
