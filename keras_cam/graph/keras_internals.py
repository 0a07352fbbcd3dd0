"""All private attributes of Keras that this package uses.

Keras has no public API to find out how a tensor of a functional graph was computed. After an update of
Keras, only this file needs to be checked.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras


def operation_of(tensor: Any) -> Any:
    """The layer or operation that computed a KerasTensor.

    Examples:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, name="head")])
        >>> operation_of(model.outputs[0]).name
        'head'
    """
    return tensor._keras_history.operation


def output_position(tensor: Any) -> int:
    """The index of a KerasTensor among the outputs of its call."""
    return tensor._keras_history.tensor_index


def call_of(tensor: Any) -> Any:
    """The graph node of the call that computed a KerasTensor.

    Its attributes are `operation`, `arguments`, `input_tensors` and `outputs`.
    """
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def calls_to(operation: Any) -> list[Any]:
    """All calls of a layer or operation in any graph, in order."""
    return operation._inbound_nodes


def consumers_of(operation: Any) -> list[Any]:
    """The layers and operations that use the outputs of this operation."""
    return [node.operation for node in operation._outbound_nodes]


def calls_in(model: keras.Model) -> list[Any]:
    """All calls in a functional model, from its inputs to its outputs."""
    return [node for _, level in sorted(model._nodes_by_depth.items(), reverse=True) for node in level]


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of the models nested in it, to any depth."""
    return model._flatten_layers(include_self=False, recursive=True)


def functional_graph(model: keras.Model) -> Any:
    """The model itself if it is functional, else the functional model inside the `Sequential`."""
    return model._functional if isinstance(model, keras.Sequential) else model


def run_graph(model: keras.Model, inputs: Any, replace: Callable[[Any], Any]) -> Any:
    """Run a functional model, calling `replace(operation)` instead of each operation."""
    return model._run_through_graph(inputs, operation_fn=replace)


def build_for_batch(model: keras.Model, batch: Any) -> None:
    """Create the variables of a compiled model's metrics from the specification of a batch."""
    model._symbolic_build(data_batch=batch)


def moving_averages(optimizer: keras.optimizers.Optimizer) -> list[tuple[Any, Any]]:
    """Each trained weight with its moving average. Keras only swaps them in public, which rounds weights."""
    return list(zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True))


def keyword_arguments(call: Any) -> Mapping[str, Any]:
    """The keyword arguments of a call in a graph."""
    return call.arguments.kwargs


def arguments_of(call: Any, values: Mapping[int, Any]) -> tuple[Any, Any]:
    """The arguments of a call, `(args, kwargs)`, with a value for each KerasTensor, by its `id`."""
    return call.arguments.fill_in(values)


def own_variables(layer: keras.layers.Layer) -> list[Any]:
    """The variables of a layer itself, without those of the layers inside it."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def takes_training(layer: Any) -> bool:
    """Whether the `call` of a layer takes `training`."""
    return bool(getattr(layer, "_call_has_training_arg", False))
