"""Walk backwards through a Keras graph, in and out of nested models."""

from typing import Any

import keras

from keras_cam.graph.keras_internals import call_of, keyword_arguments, operation_of, output_position


class GraphCursor:
    """A place in a functional graph, moved backwards from a tensor to what it was made from.

    A nested model (`Sequential` or functional, to any depth) is entered through its output and left through
    its input, so the walk sees one flat graph.

    Args:
        tensor: KerasTensor to start at.
        inputs: the KerasTensors where the graph begins.
    """

    def __init__(self, tensor: Any, inputs: list[Any]) -> None:
        self._tensor = tensor
        self._inputs = inputs
        self._calls: list[Any] = []  # the calls of nested models we are inside of, outermost first
        self._enter()

    @property
    def at_input(self) -> bool:
        """Whether there is nothing further back."""
        return not self._calls and _position(self._tensor, self._inputs) is not None

    @property
    def operation(self) -> Any:
        """The layer or operation that made the tensor."""
        return operation_of(self._tensor)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the tensor."""
        return tuple(self._tensor.shape)

    @property
    def source_shape(self) -> tuple[int | None, ...]:
        """Shape of the (first) tensor the operation was called on."""
        return tuple(sources_of(self._tensor)[0].shape)

    @property
    def sources(self) -> int:
        """How many tensors the operation was called on."""
        return len(sources_of(self._tensor))

    def back(self) -> "GraphCursor":
        """The place of the (first) tensor that the operation was called on."""
        cursor = GraphCursor.__new__(GraphCursor)
        cursor._tensor = sources_of(self._tensor)[0]
        cursor._inputs = self._inputs
        cursor._calls = list(self._calls)
        cursor._enter()
        return cursor

    def lifted_tensor(self) -> Any:
        """The tensor as a function of the outermost inputs.

        Inside a nested model this calls the part of that model up to the tensor, the same layers, in the
        place where the model itself was called.
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
        """Settle on a tensor that a layer or operation made, not a nested model or its input."""
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
    """Whether a layer is a model whose inside can be followed: functional, or a built `Sequential`."""
    return isinstance(operation, keras.Model) and bool(getattr(operation, "outputs", None))


def sources_of(tensor: Any) -> list[Any]:
    """The KerasTensors that an operation was called on to give the tensor."""
    return call_of(tensor).input_tensors


def inputs_of(tensor: Any, inputs: list[Any]) -> list[Any]:
    """Those of the graph's `inputs` that the tensor depends on."""
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
