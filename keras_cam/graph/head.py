"""The head of any classifier, as the layer that makes logits and maps from features."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import keras

from keras_cam.graph import names
from keras_cam.graph.classification_head import find_classification_head, output_tensor
from keras_cam.graph.differentiable_head import CAM, DifferentiableHead
from keras_cam.graph.flat_graph import functional_model, graph_for_shapes
from keras_cam.graph.split import image_input, split_classifier
from keras_cam.layers.class_activation_head import ClassActivationHead
from keras_cam.map_methods import Evidence, map_method
from keras_cam.recipes import AUTO, DEFAULT_GRADIENT_METHOD


@dataclass(frozen=True)
class Head:
    """The parts of a classifier that maps are made from.

    Attributes:
        inputs: the inputs of the classifier, the images first.
        features: the inputs of `layer`, as functions of `inputs`.
        layer: from features to logits, and to the maps of chosen classes.
        activation: "softmax", "sigmoid" or "linear", the activation after the logits.
        labels: the class names, if the model has a `ClassLabels` layer.
    """

    inputs: list[Any]
    features: list[Any]
    layer: ClassActivationHead | DifferentiableHead
    activation: str
    labels: tuple[str, ...] | None


def find_head(
    model: keras.Model,
    output: str | int | None = None,
    method: str | Callable[[Evidence], Any] = AUTO,
) -> Head:
    """Find the head of a classifier, and make a layer of it.

    Args:
        model: a built Keras model.
        output: name or index of the output, if the model has several.
        method: how maps are made. "auto": exact class activation maps if the head is affine, else by
            `DEFAULT_GRADIENT_METHOD`. "cam": exact maps or an error. Otherwise see `DifferentiableHead`.

    Raises:
        ValueError: the model or the method has no maps; the message names the reason.
    """
    if isinstance(method, str) and method not in (AUTO, CAM):
        map_method(method)  # which says what there is, before a graph is made
    model = functional_model(model)
    output_tensor(model, output)
    refusal = None
    if method in (AUTO, CAM):
        try:
            plain = find_classification_head(model, output)
        except ValueError as error:
            refusal = error
        else:
            layer = ClassActivationHead(plain.classifier, name=names.HEAD)
            return Head([plain.inputs], [plain.features], layer, plain.activation, plain.labels)
    split = split_classifier(model, output)
    is_classifier = bool(split.head.weights) or split.activation != "linear"
    if refusal and not (is_classifier and (split.is_exact or method == AUTO)):
        raise refusal
    if method == AUTO:
        method = CAM if split.is_exact else DEFAULT_GRADIENT_METHOD
    layer = DifferentiableHead(split.head, split.places, method, name=names.HEAD)
    return Head(split.inputs, [*split.features, *split.context], layer, split.activation, split.labels)


def find_head_of_any_size(
    model: keras.Model,
    output: str | int | None = None,
    method: str | Callable[[Evidence], Any] = AUTO,
    scales: Sequence[float] = (),
) -> Head | None:
    """The head of a classifier whose layers are called for images of any size.

    Args:
        model: a built Keras model.
        output: see `find_head`.
        method: see `find_head`.
        scales: sizes that it must take, as parts of its own.

    Returns:
        As `find_head` does, but `inputs` are images of any size; None if the classifier does not take them.
    """
    model = functional_model(model)
    model = keras.Model(model.inputs, output_tensor(model, output), name=model.name)
    images = image_input(model.inputs)

    def graph_for(height: int | None, width: int | None) -> keras.Model | None:
        shape = (images.shape[0], height, width, images.shape[3])
        return graph_for_shapes(model, [shape if x is images else x.shape for x in model.inputs])

    # What takes an unknown size may still not take another than its own.
    sizes = [(None, None), *(tuple(n and round(scale * n) for n in images.shape[1:3]) for scale in scales)]
    graphs = [graph_for(*size) for size in dict.fromkeys(sizes)]
    if None in graphs:
        return None
    with suppress(ValueError):  # the grid of tokens may not be known
        return find_head(graphs[0], method=method)
    return None


def one_or_all(tensors: list[Any]) -> Any:
    """The only tensor of a list, or the list: the inputs and outputs of models."""
    return tensors[0] if len(tensors) == 1 else tensors
