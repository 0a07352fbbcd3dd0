"""Split any classifier in two: from images to features with positions, and from these to logits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cam.graph.classification_head import output_tensor
from keras_cam.graph.flat_call import flat_call_of, flat_calls
from keras_cam.graph.flat_graph import flat_graph
from keras_cam.graph.linearity import dependents, followed_inputs
from keras_cam.graph.logits import without_activation
from keras_cam.graph.places import Places, known_places, places_of
from keras_cam.graph.reverse_mode import ReverseMode, has_batch
from keras_cam.layers.class_labels import ClassLabels

# So many positions are tried to see from how many the logits depend on the features.
_PROBED_POSITIONS = 16

# Features are good for maps if more than this fraction of positions has an influence.
_MOST = 0.5


@dataclass(frozen=True)
class Split:
    """A classifier in two parts.

    Attributes:
        inputs: the inputs of the classifier, the images first.
        features: the tensors with positions from which maps are made, as functions of `inputs`.
        context: the other tensors from which logits are computed, which count as constants.
        places: the layout of each of the features.
        head: from features and context to logits: a flat functional model of the classifier's own layers.
        is_exact: whether the logits are affine in the features, see `followed_inputs`.
        activation: "softmax", "sigmoid" or "linear", the activation after the logits.
        labels: the class names, if the model has a `ClassLabels` layer.
    """

    inputs: list[Any]
    features: list[Any]
    context: list[Any]
    places: list[Places]
    head: keras.Model
    is_exact: bool
    activation: str
    labels: tuple[str, ...] | None


def split_classifier(model: keras.Model, output: str | int | None = None) -> Split:
    """Split a classifier at the last tensors with positions.

    If everything after these tensors is affine, maps are exact. Else it is split at the last tensor with
    positions through which everything passes and where most positions have an influence on the logits.

    Args:
        model: a built Keras model.
        output: name or index of the output, if the model has several.

    Raises:
        ValueError: the output is not (B, N), or there is no such tensor.

    Examples:
        >>> model = keras.Sequential([
        ...     keras.Input((32, 32, 3)),
        ...     keras.layers.Conv2D(8, 3, activation="relu"),
        ...     keras.layers.Flatten(),
        ...     keras.layers.Dense(5, activation="softmax"),
        ... ])
        >>> split = split_classifier(model)
        >>> split.features[0].shape, split.places[0].grid, split.is_exact, split.activation
        ((None, 30, 30, 8), (30, 30), True, 'softmax')
    """
    end = output_tensor(model, output)
    flat = flat_graph(keras.Model(model.inputs, end, name=model.name))
    images = image_input(flat.inputs)
    logits, activation = without_activation(flat.outputs[0])
    if len(logits.shape) != 2:
        raise ValueError(
            "The output of a classifier must be one vector of logits or scores per image, (B, N). "
            f"Received: logits of shape {tuple(logits.shape)}"
        )
    dependent = dependents(keras.Model(flat.inputs, logits), [images])
    inputs = [images, *(x for x in flat.inputs if x is not images)]
    labels = next((layer.labels for layer in flat.layers if isinstance(layer, ClassLabels)), None)
    features = _affine_features(logits, dependent, images)
    is_exact = _influence(features, logits, images) > _MOST
    if not is_exact:
        features = _nonlinear_features(flat, logits, dependent, images)
    head, context = head_model(features, logits)
    _check_batches(head)
    places = [known_places(tensor, images) for tensor in features]
    return Split(inputs, features, context, places, head, is_exact, activation, labels)


def _check_batches(head: keras.Model) -> None:
    mixing = [call.operation.name for call in flat_calls(head) if not call.keeps_batch]
    if mixing:
        raise ValueError(
            "The first axis of all tensors between features and logits must be that of the images, so that "
            "there are maps of each: put operations that merge or move it, and those that undo this, into a "
            f"layer of your own. Received: the operations {mixing}"
        )


def image_input(inputs: Sequence[Any]) -> Any:
    """The first input with the most axes."""
    return max(inputs, key=lambda tensor: len(tensor.shape))


def _affine_features(logits: Any, dependent: set[int], images: Any) -> list[Any]:
    """The last tensors with positions, if the logits are affine in them; else none."""
    features: dict[int, Any] = {}
    seen, todo = set(), [logits]
    while todo:
        tensor = todo.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if places_of(tensor, images):
            features[id(tensor)] = _before_pooling(tensor, images)
            continue
        inputs = followed_inputs(flat_call_of(tensor), dependent, logits)
        if not inputs:
            return []
        todo += inputs
    return list(features.values())


def _before_pooling(tensor: Any, images: Any) -> Any:
    """The tensor before average pooling with small windows, for a map as fine as possible."""
    call = flat_call_of(tensor)
    while type(call.operation).__name__.startswith("AveragePooling") and places_of(call.inputs[0], images):
        tensor = call.inputs[0]
        call = flat_call_of(tensor)
    return tensor


def _nonlinear_features(flat: keras.Model, logits: Any, dependent: set[int], images: Any) -> list[Any]:
    """The last tensors with positions of which most have an influence on the logits."""
    candidates = [_last_features(logits, dependent, images), *_bottlenecks(flat, logits, dependent, images)]
    best, influence = None, 0.0
    for features in candidates:
        found = _influence(features, logits, images)
        if found > influence:
            best, influence = features, found
        if influence > _MOST:
            break
    if best is None:
        raise ValueError(
            "Maps need a layer whose output has several positions and influences the logits. "
            f"Received: a model with the layers {[layer.name for layer in flat.layers]}"
        )
    return best


def _last_features(logits: Any, dependent: set[int], images: Any) -> list[Any]:
    """The first tensors with positions on each way back from the logits."""
    features: list[Any] = []
    seen, todo = set(), [logits]
    while todo:
        tensor = todo.pop()
        if id(tensor) in seen or id(tensor) not in dependent:
            continue
        seen.add(id(tensor))
        if places_of(tensor, images):
            features.append(tensor)
        else:
            todo += flat_call_of(tensor).inputs
    return features


def _bottlenecks(flat: keras.Model, logits: Any, dependent: set[int], images: Any) -> list[list[Any]]:
    """Tensors with positions through which everything passes from the images to the logits, last first."""
    calls = flat_calls(keras.Model(flat.inputs, logits))
    uses = Counter(id(tensor) for call in calls for tensor in call.inputs)
    pending, found = {id(images)}, []
    for call in calls:
        for tensor in call.inputs:
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                pending.discard(id(tensor))
        pending |= {id(tensor) for tensor in call.outputs if id(tensor) in dependent and uses[id(tensor)]}
        if len(call.outputs) == 1 and pending == {id(call.outputs[0])} and places_of(call.outputs[0], images):
            found.append([call.outputs[0]])
    return found[::-1]


def _influence(features: Sequence[Any], logits: Any, images: Any) -> float:
    """The smallest influence of any of the features; 0 if there are none."""
    return min(
        (_influence_of(index, features, logits, images) for index in range(len(features))), default=0.0
    )


def _influence_of(index: int, features: Sequence[Any], logits: Any, images: Any) -> float:
    """The fraction of positions of one of the features that have an influence on the logits.

    A position is set to NaN, which nothing but the weights' structure can stop: even a weight of zero passes
    it on.
    """
    head, context = head_model(features, logits)
    values = [_some_values(tensor) for tensor in (*features, *context)]
    places = known_places(features[index], images)
    laid_out = np.asarray(places.laid_out(values[index]))
    height, width = laid_out.shape[1:3]
    probes = np.unique(np.linspace(0, height * width - 1, _PROBED_POSITIONS).round().astype(int))
    marked = np.repeat(laid_out, len(probes), axis=0)
    marked[range(len(probes)), probes // width, probes % width] = np.nan
    batched = has_batch(head)
    values = [ops.repeat(x, len(probes), axis=0) if b else x for x, b in zip(values, batched, strict=True)]
    values[index] = places.as_given(ops.convert_to_tensor(marked), values[index][:1])
    output = np.asarray(ReverseMode(head, values, 0).output)
    return float(np.isnan(output).reshape(len(probes), -1).any(axis=1).mean())


def _some_values(tensor: Any) -> Any:
    shape = [1 if index == 0 and size is None else size or 8 for index, size in enumerate(tensor.shape)]
    return ops.ones(shape, dtype=tensor.dtype)


def head_model(features: Sequence[Any], logits: Any) -> tuple[keras.Model, list[Any]]:
    """The model from features to logits, and what else it takes: tensors that do not depend on these."""
    inside: dict[int, bool] = {id(tensor): True for tensor in features}

    def depends(tensor: Any) -> bool:
        if id(tensor) not in inside:
            inside[id(tensor)] = False
            inside[id(tensor)] = any(map(depends, flat_call_of(tensor).inputs))
        return inside[id(tensor)]

    depends(logits)
    context: dict[int, Any] = {}
    seen, todo = {id(tensor) for tensor in features}, [logits]
    while todo:
        tensor = todo.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if depends(tensor):
            todo += flat_call_of(tensor).inputs
        else:
            context[id(tensor)] = tensor
    return keras.Model([*features, *context.values()], logits, name="head"), list(context.values())
