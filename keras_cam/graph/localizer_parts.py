"""A localizer in two parts: up to the classes that are chosen, and from there on."""

from typing import Any

import keras

from keras_cam.graph.cursor import sources_of


def localizer_parts(localizer: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Take a localizer apart, so that maps of other classes than its own choice cost nothing twice.

    Args:
        localizer: a model as `keras_cam.build_localizer` makes it, with images as its only input.

    Returns:
        `(front, back)`, which share its layers. `front(images)` is `[*tensors, logits]`, what the backbone
        gives and the logits (B, N). `back([class_ids, *tensors])`, with integers `class_ids` (B, K), is a
        dict of `class_activation_maps` (B, K, h, w) and, if the localizer refines maps, of
        `localization_maps` (B, K, h', w').

    Examples:
        >>> from keras import ops
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=10, input_shape=(64, 64, 3))
        >>> front, back = localizer_parts(keras_cam.build_localizer(model))
        >>> *tensors, logits = front(ops.zeros((1, 64, 64, 3)))
        >>> back([ops.array([[7, 3, 0]]), *tensors])["class_activation_maps"].shape
        TensorShape([1, 3, 2, 2])
    """
    maps, chosen, _, images, *refined = sources_of(localizer.output["detection_boxes"])
    calls = localizer.get_layer("backbone")._inbound_nodes
    tensors = [tensor for call in calls for tensor in _made_in(call, localizer)]
    outputs = {"class_activation_maps": maps}
    if refined:
        outputs["localization_maps"] = refined[0]
    front = keras.Model(images, [*tensors, localizer.get_layer("scores").input])
    back = keras.Model([chosen, *tensors], outputs)
    back.input_spec = None  # it takes any number of classes, not just as many as the localizer chooses
    return front, back


def _made_in(call: Any, localizer: keras.Model) -> list[Any]:
    """What a call of a layer gives, if it is one of the localizer's."""
    level = [node for nodes in localizer._nodes_by_depth.values() for node in nodes]
    return list(call.outputs) if any(node is call for node in level) else []
