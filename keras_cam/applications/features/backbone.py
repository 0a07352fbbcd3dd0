"""The part of a network from its images to a feature map."""

from typing import Any

import keras

from keras_cam.graph.classification_head import find_classification_head
from keras_cam.graph.cursor import inputs_of, is_graph, sources_of
from keras_cam.graph.keras_internals import calls_in, operation_of
from keras_cam.graph.names import BACKBONE, HEAD, SCORES
from keras_cam.localizer import gives_boxes


def backbone_of(model: keras.Model, layer: str | None = None) -> keras.Model:
    """Return the part of a network from its images to a feature map.

    It shares the layers of the network.

    Args:
        model: a functional or `Sequential` network, which may contain nested ones; or a localizer.
        layer: the name of the layer whose output is the feature map; it may be nested. None takes the
            feature map that the network pools.

    Returns:
        A `keras.Model` from images (B, H, W, 3) to features (B, h, w, C).

    Raises:
        ValueError: if there is no such layer, its output is not a feature map, or `layer` is None and the
            network pools no feature map.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("efficientnet_lite0", input_shape=(64, 64, 3))
        >>> backbone_of(model).output.shape, backbone_of(model, "block10_add").output.shape
        ((None, 2, 2, 1280), (None, 4, 4, 112))
    """
    if layer is None and gives_boxes(model):
        return keras.Model(model.inputs[0], _features_of(model), name=BACKBONE)
    if layer is None:
        head = find_classification_head(model)
        return keras.Model(head.inputs, head.features, name="backbone")
    features = _output_of(model, layer)
    if features is None:
        raise ValueError(f"`layer` must name a layer of the model. Received: layer={layer!r}")
    if len(features.shape) != 4:
        raise ValueError(
            f"`layer` must give a map (B, h, w, C). Received: layer={layer!r}, which gives {features.shape}"
        )
    [images] = inputs_of(features, model.inputs)
    return keras.Model(images, features, name="backbone")


def _features_of(localizer: keras.Model) -> Any:
    """The KerasTensor on which a localizer calls its classifier."""
    head, tensor = localizer.get_layer(HEAD), localizer.get_layer(SCORES).input
    while operation_of(tensor) is not head:  # the layer that names the classes
        [tensor] = sources_of(tensor)
    return sources_of(tensor)[0]


def _output_of(model: keras.Model, name: str) -> Any:
    """The output of a layer, as a tensor of the model's own graph; None if there is no such layer."""
    for layer in model.layers:
        if layer.name == name:
            return layer.output
    for nested in filter(is_graph, model.layers):
        inside = _output_of(nested, name)
        if inside is not None:
            call = next(call for call in calls_in(model) if call.operation is nested)
            sources = call.input_tensors
            return keras.Model(nested.inputs, inside)(sources if len(sources) > 1 else sources[0])
    return None
