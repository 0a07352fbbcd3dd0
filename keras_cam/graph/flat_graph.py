"""Flattening of nested models into one functional graph."""

from typing import Any

import keras

from keras_cam.graph.cursor import is_graph
from keras_cam.graph.keras_internals import functional_graph, run_graph


def flat_graph(model: keras.Model) -> keras.Model:
    """Rebuild a model as one graph that contains the layers of its nested models directly.

    Every tensor of the flat graph can be an output of a new model; of a nested model, only its outputs can.

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
            # Layer names are unique in a graph, so a layer whose name is taken stays in a nested model.
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
