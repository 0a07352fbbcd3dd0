"""Find the global average pooling and linear classifier of any Keras model."""

from dataclasses import dataclass
from typing import Any, NoReturn

import keras

from keras_cam.graph.cursor import GraphCursor, inputs_of, is_graph
from keras_cam.graph.operation_kinds import RESHAPES, activation_name, is_identity
from keras_cam.layers.class_labels import ClassLabels

_RULE = (
    "A class activation map is exact only if logits are a linear function of global average pooling: "
    "`GlobalAveragePooling2D` followed by `Dense` or 1x1 `Conv2D` layers without activation, "
    "`BatchNormalization`, dropout or reshaping."
)


@dataclass(frozen=True)
class ClassificationHead:
    """The parts of a classifier that class activation maps are computed from.

    Attributes:
        inputs: the model input that the features depend on, a KerasTensor (B, H, W, C').
        features: KerasTensor (B, h, w, C), the input of the global average pooling, as a function of
            `inputs`.
        classifier: the layers between the pooling and the logits, see `ClassActivationHead`; the model's own
            layers, not copies.
        activation: "softmax", "sigmoid" or "linear", the activation after the logits.
        labels: the class names, if the model has a `ClassLabels` layer.
    """

    inputs: Any
    features: Any
    classifier: tuple[keras.layers.Layer, ...]
    activation: str
    labels: tuple[str, ...] | None = None


def find_classification_head(model: keras.Model, output: str | int | None = None) -> ClassificationHead:
    """Trace an output back to the global average pooling and the linear classifier after it.

    The model may be functional or `Sequential`, with models nested to any depth. Between pooling and output
    it may have `Dense` or 1x1 `Conv2D` layers without a nonlinearity, `BatchNormalization`, dropout,
    reshaping and a final softmax or sigmoid. The classifier may also be a convolution before the pooling.

    Args:
        model: a built Keras model.
        output: name or index of the output, if the model has several.

    Returns:
        A `ClassificationHead`.

    Raises:
        ValueError: the output has no exact class activation map; the message names the layer that prevents
            it.

    Reference:
        Zhou et al., CVPR 2016, section 2: the map is exact because pooling and classifier are linear.

    Examples:
        >>> model = keras.Sequential([
        ...     keras.Input((32, 32, 3)),
        ...     keras.layers.Conv2D(8, 3, activation="relu"),
        ...     keras.layers.GlobalAveragePooling2D(),
        ...     keras.layers.Dense(5, activation="softmax"),
        ... ])
        >>> head = find_classification_head(model)
        >>> head.features.shape, head.activation, len(head.classifier)
        ((None, 30, 30, 8), 'softmax', 1)
    """
    end = GraphCursor(output_tensor(model, output), model.inputs)
    pooling, classifier, activation, labels = _back_to_pooling(end)
    features = pooling.back()
    if not classifier:
        features, classifier = _convolution_classifier(features, activation)
    tensor = features.lifted_tensor()
    inputs = inputs_of(tensor, model.inputs)
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            "The features must depend on exactly one image input of shape (B, H, W, C). "
            f"Received: inputs {[(x.name, x.shape) for x in inputs]}"
        )
    return ClassificationHead(inputs[0], tensor, tuple(classifier), activation, labels)


def output_tensor(model: keras.Model, output: str | int | None = None) -> Any:
    """An output of the model, selected by name or index if it has several.

    Raises:
        ValueError: the model has no graph, or `output` is not one of its outputs.
    """
    if not is_graph(model):
        raise ValueError(
            "`model` must be a functional or a built `Sequential` model, so that its layers can be traced: "
            "start a `Sequential` model with an `Input`; rebuild a subclassed model with the functional API. "
            f"Received: model={model!r}"
        )
    # A `Sequential` has neither `output` nor `output_names` of its own.
    names, tensors = list(getattr(model, "output_names", ["output"])), list(model.outputs)
    if not isinstance(model, keras.Sequential) and isinstance(model.output, dict):
        names, tensors = list(model.output), list(model.output.values())
    if output is None and len(tensors) == 1:
        return tensors[0]
    if isinstance(output, int) and 0 <= output < len(tensors):
        return tensors[output]
    if output in names:
        return tensors[names.index(output)]
    raise ValueError(
        f"`output` must name one of the model's outputs {names} or be its index. Received: output={output!r}"
    )


def _back_to_pooling(
    cursor: GraphCursor,
) -> tuple[GraphCursor, list[keras.layers.Layer], str, tuple[str, ...] | None]:
    """The pooling, the affine layers after it, and the activation and labels after the logits."""
    classifier: list[keras.layers.Layer] = []
    activation, labels = "linear", None
    while not cursor.at_input:
        operation = cursor.operation
        if _is_average_pooling(cursor):
            return cursor, classifier, activation, labels
        name = activation_name(operation)
        affine = _is_pointwise(operation) or _is_channel_norm(cursor)
        harmless = affine or isinstance(operation, keras.layers.Activation) or _keeps_channels(cursor)
        if name in ("sigmoid", "softmax") and activation == "linear" and not classifier:
            activation = name
        elif name not in (None, "linear") or not harmless:
            _refuse(cursor)
        if affine:
            classifier.insert(0, operation)
        if isinstance(operation, ClassLabels) and labels is None:
            labels = operation.labels
        cursor = cursor.back()
    raise ValueError(f"{_RULE} Received: a model without global average pooling before its output.")


def _convolution_classifier(
    pooled: GraphCursor, activation: str
) -> tuple[GraphCursor, list[keras.layers.Layer]]:
    """The features and classifier of a network with a 1x1 convolution as classifier before the pooling.

    With a nonlinearity between convolution and pooling, the pooled channels are the maps.
    """
    cursor, linear = pooled, True
    while not cursor.at_input:
        operation = cursor.operation
        linear = linear and activation_name(operation) in (None, "linear") and not _is_relu(operation)
        if _is_pointwise(operation):
            return (cursor.back(), [operation]) if linear else (pooled, [])
        if not (
            _is_relu(operation) or isinstance(operation, keras.layers.Activation) or is_identity(operation)
        ):
            break
        cursor = cursor.back()
    if activation == "linear":
        raise ValueError(
            f"{_RULE} Received: a model that returns the pooled features, without a classifier. "
            "Add a `Dense` layer after the pooling and train it."
        )
    return pooled, []


def _is_average_pooling(cursor: GraphCursor) -> bool:
    operation, kind = cursor.operation, type(cursor.operation).__name__
    shape = cursor.source_shape if cursor.sources else ()
    if len(shape) != 4:
        return False
    if kind == "Mean":  # keras.ops.mean
        axes = operation.axis if isinstance(operation.axis, list | tuple) else [operation.axis]
        return sorted(axis % 4 for axis in axes if axis is not None) == [1, 2]
    if getattr(operation, "data_format", "channels_last") != "channels_last":
        return False
    if kind == "AveragePooling2D":
        return operation.pool_size == shape[1:3] and cursor.shape[1:3] == (1, 1)
    return kind == "GlobalAveragePooling2D"


def _is_pointwise(operation: Any) -> bool:
    """Whether a layer applies the same matrix to the channels at every position."""
    if not _computes_as(operation, keras.layers.Conv2D):
        return _computes_as(operation, keras.layers.Dense)
    one_by_one = operation.kernel_size == (1, 1) and operation.strides == (1, 1)
    return one_by_one and operation.groups == 1 and operation.data_format == "channels_last"


def _is_channel_norm(cursor: GraphCursor) -> bool:
    operation, last = cursor.operation, len(cursor.shape) - 1
    return _computes_as(operation, keras.layers.BatchNormalization) and operation.axis in (-1, last)


def _computes_as(operation: Any, layer_class: type[keras.layers.Layer]) -> bool:
    """Whether a layer is an instance of a class and does not override its `call`."""
    return isinstance(operation, layer_class) and type(operation).call is layer_class.call


def _is_relu(operation: Any) -> bool:
    return type(operation).__name__ in ("ReLU", "Relu")


def _keeps_channels(cursor: GraphCursor) -> bool:
    """Whether the operation keeps the pooled channels, at most in another shape."""
    if type(cursor.operation).__name__ not in RESHAPES:
        return is_identity(cursor.operation)
    channels = cursor.source_shape[-1]
    one_vector = all(size == 1 for size in cursor.source_shape[1:-1])
    return one_vector and (channels == 1 or cursor.shape[-1] == channels)


def _refuse(cursor: GraphCursor) -> NoReturn:
    """Raise an error that names the unsupported layer and says what to do."""
    operation, kind = cursor.operation, type(cursor.operation).__name__
    if "MaxPooling" in kind:
        advice = (
            "The maximum is not a mean of positions: use `GlobalAveragePooling2D` and retrain the classifier."
        )
    elif kind in RESHAPES:
        advice = (
            f"It turns {cursor.source_shape[1:]} into {cursor.shape[1:]}, which mixes positions or channels: "
            "use `GlobalAveragePooling2D` and a `Dense` that returns one vector, and retrain."
        )
    elif "Normalization" in kind:
        advice = "It rescales each image by its own statistics: train a new `Dense` on the pooled features."
    else:
        advice = "This layer is not one of them: train a single `Dense` on the pooled features instead."
    raise ValueError(f"{_RULE} Received: layer {operation.name!r} ({kind}) after the features. {advice}")
