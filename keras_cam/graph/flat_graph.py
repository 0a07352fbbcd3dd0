"""A functional model without models inside."""

from typing import Any

import keras

from keras_cam.graph.cursor import is_graph
from keras_cam.graph.keras_internals import functional_graph, run_graph


def flat_graph(model: keras.Model) -> keras.Model:
    """The same layers, called in the same way, with those of nested models in one graph.

    Every tensor in it can be an output of a new model; of a nested model only the last one can.

    Args:
        model: a functional or built `Sequential` model.

    Returns:
        A functional model with the layers of `model` itself, not copies.

    Examples:
        >>> inside = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="convolution")])
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), inside, keras.layers.ReLU(name="relu")])
        >>> [layer.name for layer in flat_graph(model).layers][1:]
        ['convolution', 'relu']
    """

    names: dict[str, Any] = {}

    def flattened(operation: Any) -> Any:
        if not is_graph(operation):
            # In one graph all names differ, so a layer of a name that is taken stays in a model of its own.
            taken = names.setdefault(operation.name, operation) is not operation
            return _inside(operation, f"{operation.name}_{len(names)}") if taken else operation
        graph = functional_graph(operation)

        def call(inputs: Any, **_: Any) -> Any:
            outputs = run_graph(graph, inputs, flattened)
            return outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs

        return call

    inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in model.inputs]
    return keras.Model(inputs, flattened(model)(inputs), name=model.name)


def _inside(operation: Any, name: str) -> Any:
    def call(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        source = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
        return keras.Model(source, operation(source, *args, **kwargs), name=name)(tensor)

    return call
