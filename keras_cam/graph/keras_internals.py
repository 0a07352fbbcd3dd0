"""Everything private of Keras that this package relies on.

Keras has no public way to ask how a tensor of a functional graph was made. Whoever updates Keras has only
this file to check.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras


def operation_of(tensor: Any) -> Any:
    """The layer or operation that made a KerasTensor.

    Examples:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, name="head")])
        >>> operation_of(model.outputs[0]).name
        'head'
    """
    return tensor._keras_history.operation


def output_position(tensor: Any) -> int:
    """Which of the outputs of its call a KerasTensor is."""
    return tensor._keras_history.tensor_index


def call_of(tensor: Any) -> Any:
    """The node of the graph that records the call which made a KerasTensor.

    It has `operation`, `arguments`, `input_tensors` and `outputs`.
    """
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def calls_to(operation: Any) -> list[Any]:
    """All calls of a layer or operation, in any graph, the first one first."""
    return operation._inbound_nodes


def consumers_of(operation: Any) -> list[Any]:
    """The layers and operations that were called on the outputs of this one."""
    return [node.operation for node in operation._outbound_nodes]


def calls_in(model: keras.Model) -> list[Any]:
    """All calls in a functional model, from its inputs to its outputs."""
    return [node for _, level in sorted(model._nodes_by_depth.items(), reverse=True) for node in level]


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of the models nested in it, to any depth."""
    return model._flatten_layers(include_self=False, recursive=True)


def functional_graph(model: keras.Model) -> Any:
    """A functional model itself, or the one inside of a `Sequential`."""
    return model._functional if isinstance(model, keras.Sequential) else model


def run_graph(model: keras.Model, inputs: Any, replace: Callable[[Any], Any]) -> Any:
    """Run a functional model with `replace(operation)` called in place of each operation."""
    return model._run_through_graph(inputs, operation_fn=replace)


def build_for_batch(model: keras.Model, batch: Any) -> None:
    """Make the variables of a compiled model's metrics, from the specification of a batch."""
    model._symbolic_build(data_batch=batch)


def keyword_arguments(call: Any) -> Mapping[str, Any]:
    """The keyword arguments of a call in a graph."""
    return call.arguments.kwargs
