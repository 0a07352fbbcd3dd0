"""Walk backwards through a Keras graph, in and out of nested models."""

from typing import Any

import keras

from keras_cam.graph.keras_internals import call_of, keyword_arguments, operation_of, output_position


class GraphCursor:
    """A tensor of a functional graph, with steps backwards to the tensors it was computed from.

    The walk enters a nested model (`Sequential` or functional, to any depth) at its output and leaves it at
    its input, as if the graph were flat.

    Args:
        tensor: KerasTensor to start at.
        inputs: the KerasTensors that the graph starts from.
    """

    def __init__(self, tensor: Any, inputs: list[Any]) -> None:
        self._tensor = tensor
        self._inputs = inputs
        self._calls: list[Any] = []  # calls of the nested models around the tensor, outermost first
        self._enter()

    @property
    def at_input(self) -> bool:
        """Whether the tensor is an input of the graph."""
        return not self._calls and _position(self._tensor, self._inputs) is not None

    @property
    def operation(self) -> Any:
        """The layer or operation that computed the tensor."""
        return operation_of(self._tensor)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the tensor."""
        return tuple(self._tensor.shape)

    @property
    def source_shape(self) -> tuple[int | None, ...]:
        """Shape of the first input of the operation."""
        return tuple(sources_of(self._tensor)[0].shape)

    @property
    def sources(self) -> int:
        """The number of inputs of the operation."""
        return len(sources_of(self._tensor))

    def back(self) -> "GraphCursor":
        """A cursor at the first input of the operation."""
        cursor = GraphCursor.__new__(GraphCursor)
        cursor._tensor = sources_of(self._tensor)[0]
        cursor._inputs = self._inputs
        cursor._calls = list(self._calls)
        cursor._enter()
        return cursor

    def lifted_tensor(self) -> Any:
        """The tensor as a function of the outermost inputs.

        For a tensor inside a nested model, this calls the part of that model up to the tensor, with the same
        layers, on the inputs of the nested model.
        """
        tensor = self._tensor
        for call in reversed(self._calls):
            nested = call.operation
            part = keras.Model(nested.inputs, tensor, name=f"{nested.name}_features")
            training = keyword_arguments(call).get("training")
            sources = call.input_tensors if len(nested.inputs) > 1 else call.input_tensors[0]
            tensor = part(sources) if training is None else part(sources, training=training)
        return tensor

    def _enter(self) -> None:
        """Move to a tensor computed by a layer or operation, not to a nested model's output or input."""
        while not self.at_input:
            position = _position(self._tensor, self._calls[-1].operation.inputs) if self._calls else None
            if position is not None:
                self._tensor = self._calls.pop().input_tensors[position]
                continue
            operation = operation_of(self._tensor)
            if not is_graph(operation):
                return
            self._calls.append(call_of(self._tensor))
            self._tensor = operation.outputs[output_position(self._tensor)]


def is_graph(operation: Any) -> bool:
    """Whether a layer is a model whose graph can be traced: functional, or a built `Sequential`."""
    return isinstance(operation, keras.Model) and bool(getattr(operation, "outputs", None))


def sources_of(tensor: Any) -> list[Any]:
    """The inputs of the operation call that computed the tensor, as KerasTensors."""
    return call_of(tensor).input_tensors


def inputs_of(tensor: Any, inputs: list[Any]) -> list[Any]:
    """The inputs among `inputs` that the tensor depends on."""
    seen, todo = set(), [tensor]
    while todo:
        current = todo.pop()
        if id(current) not in seen:
            seen.add(id(current))
            if _position(current, inputs) is None:
                todo += sources_of(current)
    return [tensor for tensor in inputs if id(tensor) in seen]


def _position(tensor: Any, tensors: list[Any]) -> int | None:
    return next((index for index, candidate in enumerate(tensors) if candidate is tensor), None)
