"""A part of a functional graph as a new model."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_cam.graph.keras_internals import arguments_of, call_of


def replay(inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Call the layers between tensors of a graph again, on new inputs.

    `keras.Model(inputs, outputs)` does the same for most graphs, but not where a layer that computes one of
    the inputs is called a second time inside.

    Args:
        inputs: KerasTensors, on which every path to the outputs starts.
        outputs: KerasTensors.

    Returns:
        `(new_inputs, new_outputs)`, KerasTensors, one for each.

    Examples:
        >>> dense = keras.layers.Dense(3)
        >>> once = dense(keras.Input((3,)))
        >>> keras.Model(*replay([once], [dense(once)]))(keras.ops.ones((2, 3))).shape
        TensorShape([2, 3])
    """
    new_inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in inputs]
    values = {id(old): new for old, new in zip(inputs, new_inputs, strict=True)}

    def value(tensor: Any) -> Any:
        if id(tensor) not in values:
            call = call_of(tensor)
            for source in call.input_tensors:
                value(source)
            args, kwargs = arguments_of(call, values)
            results = keras.tree.flatten(call.operation(*args, **kwargs))
            values.update({id(old): new for old, new in zip(call.outputs, results, strict=True)})
        return values[id(tensor)]

    return new_inputs, [value(tensor) for tensor in outputs]
