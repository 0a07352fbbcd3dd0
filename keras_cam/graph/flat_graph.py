"""Flattening of nested models and of layers made of layers into one functional graph."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_cam.graph.cursor import is_graph
from keras_cam.graph.flat_call import flat_calls
from keras_cam.graph.keras_internals import (
    functional_graph,
    own_variables,
    run_graph,
    takes_training,
)

# Layers of these packages are the smallest parts of a graph.
_KNOWN = ("keras.src.layers", "keras.layers", "keras_cam")


def flat_graph(model: keras.Model, shapes: Sequence[tuple[int | None, ...]] | None = None) -> keras.Model:
    """Rebuild a model as one graph that contains the layers of its nested models directly.

    Every tensor of the flat graph can be an output of a new model; of a nested model, only its outputs can.
    The `call` of a layer made of other layers, and of a subclassed model, is run on KerasTensors, so that the
    graph contains the layers inside it. Such a layer stays whole if it has weights of its own, which would
    become constants, or if its `call` does not take KerasTensors.

    Args:
        model: a functional or built `Sequential` model.
        shapes: the shapes of the inputs of the flat graph; None: those of the model.

    Returns:
        A functional model with the layers of `model` itself, not copies. Layer names are unique in a graph:
        a layer whose name is taken is the only layer of a nested model, see `FlatCall`.

    Examples:
        >>> inside = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="convolution")])
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), inside, keras.layers.ReLU(name="relu")])
        >>> [layer.name for layer in flat_graph(model).layers][1:]
        ['convolution', 'relu']
    """
    names: dict[str, Any] = {}
    copies: Counter[str] = Counter()

    def flattened(operation: Any) -> Any:
        if is_graph(operation):
            return lambda inputs, *_, **__: run_graph(functional_graph(operation), inputs, flattened)
        if _is_made_of_layers(operation):
            return lambda *args, **kwargs: inside(operation, args, kwargs)
        return whole(operation)

    def whole(operation: Any) -> Any:
        if None in getattr(operation, "newshape", ()):
            return _reshaping(operation)
        if names.setdefault(operation.name, operation) is operation:
            return lambda *args, **kwargs: _with_true_shape(operation, args, kwargs)
        copies[operation.name] += 1
        name = f"{operation.name}_{copies[operation.name]}"
        return lambda *args, **kwargs: _record(operation, args, kwargs, name)

    def inside(operation: Any, args: Any, kwargs: Any) -> Any:
        try:
            graph, tensors = recorded(operation.call, args, _at_inference(operation, kwargs))
        except Exception:  # whatever the code of a user's layer raises for a KerasTensor
            return whole(operation)(*args, **kwargs)
        if not all(call.keeps_batch for call in flat_calls(graph)):
            return whole(operation)(*args, **kwargs)  # its gradients are those of the whole
        return run_graph(graph, tensors, flattened)

    shapes = shapes or [x.shape for x in model.inputs]
    inputs = [
        keras.Input(batch_shape=shape, dtype=x.dtype, name=x.name)
        for x, shape in zip(model.inputs, shapes, strict=True)
    ]
    return keras.Model(inputs, flattened(model)(inputs), name=model.name)


def graph_for_shapes(model: keras.Model, shapes: Sequence[tuple[int | None, ...]]) -> keras.Model | None:
    """The flat graph of a model for inputs of other shapes; None if it cannot take them.

    Examples:
        >>> images = keras.Input((32, 32, 3))
        >>> features = keras.layers.Conv2D(4, 3)(images)
        >>> graph_for_shapes(keras.Model(images, features), [(None, 16, 48, 3)]).output.shape
        (None, 14, 46, 4)
        >>> scores = keras.layers.Dense(2)(keras.layers.Flatten()(features))
        >>> graph_for_shapes(keras.Model(images, scores), [(None, 16, 48, 3)]) is None
        True
    """
    try:
        graph = flat_graph(model, shapes)
    except Exception:  # whatever a layer raises for a shape that is not its own
        return None
    return graph if all(call.keeps_batch for call in flat_calls(graph)) else None


def functional_model(model: keras.Model) -> keras.Model:
    """A functional model of a subclassed model that was built; any other model as it is.

    Raises:
        ValueError: the model cannot be traced.
    """
    if is_graph(model) or not isinstance(model, keras.Model) or isinstance(model, keras.Sequential):
        return model
    shape = (model.get_build_config() or {}).get("input_shape")
    if own_variables(model) or not (isinstance(shape, list | tuple) and len(shape) > 2):
        raise ValueError(
            "A subclassed `model` must have been called on images, and have its weights in layers, so that "
            f"it can be traced. Received: model={model!r}, input shape {shape}, "
            f"own weights {[variable.name for variable in own_variables(model)]}"
        )
    try:
        images = keras.Input(batch_shape=(None, *shape[1:]), name="images")
        return recorded(model.call, (images,), _at_inference(model, {}), model.name)[0]
    except Exception as error:  # whatever the user's code raises for a KerasTensor
        raise ValueError(
            "The `call` of a subclassed `model` must take KerasTensors, so that it can be traced: compute "
            "with layers and `keras.ops` instead of `tf`, or rebuild the model with the functional API. "
            f"Received: model={model!r}, whose `call` raised {type(error).__name__}: {error}"
        ) from error


def recorded(call: Callable[..., Any], args: Any, kwargs: Any, name: str | None = None) -> tuple[Any, list]:
    """A functional model of what a function of KerasTensors does, and the tensors that it takes."""
    found = keras.tree.flatten((args, kwargs))
    tensors = list({id(x): x for x in found if isinstance(x, keras.KerasTensor)}.values())
    inputs = {id(x): keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in tensors}
    args, kwargs = keras.tree.map_structure(lambda x: inputs.get(id(x), x), (args, kwargs))
    return keras.Model(list(inputs.values()), call(*args, **kwargs), name=name), tensors


def _reshaping(operation: Any) -> Any:
    """Reshaping to `ops.shape(x)[0]`, which is None while a graph is made: to any batch size instead."""
    shape = list(operation.newshape)
    if shape.count(None) == 1 and -1 not in shape:
        shape[shape.index(None)] = -1
        return lambda x, *_, **__: ops.reshape(x, shape)
    return keras.layers.Reshape(shape[1:])


def _with_true_shape(operation: Any, args: Any, kwargs: Any) -> Any:
    """Call a layer; if its class declares another shape than it computes, declare that."""
    output = operation(*args, **kwargs)
    if not _is_foreign(operation) or not isinstance(output, keras.KerasTensor):
        return output
    true = keras.Operation.compute_output_spec(operation, *args, **_at_inference(operation, kwargs)).shape
    is_right = all(n in (None, own) for n, own in zip(true[1:], output.shape[1:], strict=True))
    return output if is_right or None in true[1:] else ops.reshape(output, (-1, *true[1:]))


def _record(operation: Any, args: Any, kwargs: Any, name: str) -> Any:
    graph, tensors = recorded(operation, args, kwargs, name)
    return graph(tensors)


def _is_made_of_layers(operation: Any) -> bool:
    """Whether there is something to see inside a layer, and nothing that would be lost."""
    if isinstance(operation, keras.layers.SpectralNormalization):
        return True  # at inference, it only calls the layer inside
    return _is_foreign(operation) and not own_variables(operation)


def _is_foreign(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Layer) and not type(operation).__module__.startswith(_KNOWN)


def _at_inference(operation: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments for `call`, which takes `training` only in some layers; `__call__` does in all."""
    others = {name: value for name, value in kwargs.items() if name != "training"}
    return {**others, "training": False} if takes_training(operation) else others
