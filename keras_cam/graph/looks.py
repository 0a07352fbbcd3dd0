"""A localizer that looks again, split between its looks, so that the second can see more than the first."""

from typing import Any

import keras

from keras_cam.graph import names
from keras_cam.graph.keras_internals import calls_in
from keras_cam.graph.replay import replay


def split_looks(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """Split a model at the crops of its second look.

    The crops can then be cut out of photos of any size in place of the model's small images.

    Args:
        model: a localizer, or the second of its `localizer_parts`.

    Returns:
        `(first, second)`, which share the model's layers; None if the model does not look again.
        `first(inputs)` returns a dict of `windows` (B, N, 4), ymin, xmin, ymax, xmax in [0, 1] of each image;
        and of `tensors`, a list of inputs of `second`. `second([crops, *tensors])`, with crops
        (B * N, H, W, C) of the size of the model's images, returns the outputs of the model.

    Examples:
        >>> from keras import ops
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=10, input_shape=(64, 64, 3))
        >>> first, second = split_looks(keras_cam.build_localizer(model, refine="look_again"))
        >>> found = first(ops.zeros((1, 64, 64, 3)))
        >>> second([ops.zeros((1, 64, 64, 3)), *found["tensors"]])["detection_boxes"].shape
        TensorShape([1, 5, 4])
    """
    calls = calls_in(model)
    cropping = [call for call in calls if getattr(call.operation, "name", "") == names.CROPS]
    if not cropping:
        return None
    _, windows = cropping[0].input_tensors
    [crops] = cropping[0].outputs
    later, needed = {id(crops)}, dict[int, Any]()
    for call in calls:
        if any(id(tensor) in later for tensor in call.input_tensors):
            later |= {id(tensor) for tensor in call.outputs}
            needed |= {id(tensor): tensor for tensor in call.input_tensors if id(tensor) not in later}
    tensors: list[Any] = list(needed.values())
    first = keras.Model(model.inputs, {"windows": windows, "tensors": tensors})
    inputs, outputs = replay([crops, *tensors], keras.tree.flatten(model.output))
    second = keras.Model(inputs, keras.tree.pack_sequence_as(model.output, outputs))
    second.input_spec = None  # so that it takes any number of classes
    return first, second
