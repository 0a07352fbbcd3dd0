"""The network of a run, and the layers that a stage trains."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import keras

import keras_cam
from keras_cam.graph.keras_internals import all_layers
from keras_cam.layers import AttentionDropout, ClassLabels
from keras_cam.models.registry import MODELS
from keras_cam.training.config import ConfigError, Stage, TrainingConfig


def build_classifier(
    config: TrainingConfig, labels: Sequence[str], activation: str | None = None
) -> keras.Model:
    """Build the network of a configuration; it carries the names of its classes.

    Args:
        config: the configuration.
        labels: the names of the classes.
        activation: the activation of the output, see `keras_cam.build_model`; None for logits.
    """
    build = _own_network if ":" in config.model else keras_cam.build_model
    model = build(
        config.model,
        config.weights,
        len(labels),
        None if config.image_size is None else (*config.image_size, 3),
        backbone_weights=config.backbone_weights,
        pooling=config.pooling,
        dropout=config.dropout,
        head_filters=config.head_filters,
        head_groups=config.head_groups,
        output_stride=config.output_stride,
        classifier_activation=activation,
        labels=labels,
    )
    if config.attention_dropout:
        model = _with_attention_dropout(model, config.attention_dropout)
    if config.non_negative_head:
        head = model.get_layer("head")
        head.kernel_constraint = keras.constraints.NonNeg()
        head.kernel.constraint = head.kernel_constraint
        head.kernel.assign(head.kernel_constraint(head.kernel))
    return model


def set_trainable(model: keras.Model, stage: Stage) -> None:
    """Make the layers trainable that a stage trains, and freeze all others."""
    behind = _behind_features(model)
    for layer in model.layers:
        layer.trainable = stage.trains == "all" or layer in behind
    if stage.batch_norm == "frozen":
        for layer in all_layers(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False


def split_at_pooling(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Two models that share the layers: from images to pooled features, and from these to logits."""
    pooled = model.get_layer("pooler").output
    return keras.Model(model.inputs, pooled, name="pooled"), keras.Model(
        pooled, model.outputs[0], name="classifier"
    )


def _own_network(
    name: str,
    weights: str | None,
    classes: int,
    input_shape: tuple[int, int, int] | None,
    *,
    classifier_activation: str | None,
    labels: Sequence[str],
    **options: Any,
) -> keras.Model:
    """As `keras_cam.build_model`, with a network from a function of the user."""
    module, _, function = name.partition(":")
    options = {option: value for option, value in options.items() if value is not None}
    network = getattr(import_module(module), function)(classes=classes, input_shape=input_shape, **options)
    missing = {"features", "pooler", "head"} - {layer.name for layer in network.layers}
    if missing:
        raise ConfigError(
            f"The network of {name} must have layers named features, pooler and head. It lacks {missing}"
        )
    outputs = network.outputs[0]
    if classifier_activation is not None:
        outputs = keras.layers.Activation(classifier_activation, dtype="float32", name="predictions")(outputs)
    model = keras.Model(network.inputs[0], ClassLabels(labels, name="labels")(outputs), name=network.name)
    if weights is not None:
        model.load_weights(weights)
    return model


def _with_attention_dropout(model: keras.Model, names: Sequence[str]) -> keras.Model:
    """A copy of the network with attention dropout after the layers of these names, also in nested models."""
    missing = set(names)

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        if layer.name not in names:
            return outputs
        missing.discard(layer.name)
        return AttentionDropout(name=f"{layer.name}_attention_dropout")(outputs)

    changed = keras.models.clone_model(model, call_function=call, recursive=True)
    if missing:
        raise ConfigError(
            f"`attention_dropout` must name layers of {model.name}. Received: {sorted(missing)}"
        )
    changed.set_weights(model.get_weights())
    return changed


def _behind_features(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers after the features that are pooled."""
    names = [layer.name for layer in model.layers]
    return model.layers[names.index("features") + 1 :]


def compile_classifier(
    model: keras.Model,
    config: TrainingConfig,
    optimizer: keras.optimizers.Optimizer | None = None,
    label_smoothing: float = 0.0,
    jit_compile: bool = False,
) -> None:
    """Compile a network with the loss and metrics for one label per image, or for several.

    Args:
        model: the network. It returns logits, or probabilities if `optimizer` is None and images have
            several labels.
        config: the configuration.
        optimizer: the optimizer of a stage; None for a network that is only evaluated.
        label_smoothing: see `Stage`.
        jit_compile: whether XLA compiles the training step.
    """
    from_logits = optimizer is not None or not config.multi_label
    if config.multi_label:
        loss: keras.losses.Loss = keras.losses.BinaryCrossentropy(from_logits, label_smoothing)
        # The area under the precision-recall curve, averaged over classes.
        metric: keras.metrics.Metric = keras.metrics.AUC(
            curve="PR",
            multi_label=True,
            num_labels=model.output_shape[-1],
            from_logits=from_logits,
            name="mean_average_precision",
        )
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits, label_smoothing)
        metric = keras.metrics.CategoricalAccuracy(name="accuracy")
    model.compile(optimizer or "sgd", loss, metrics=[metric], jit_compile=jit_compile)


def has_maps(config: TrainingConfig) -> bool:
    """Whether the network has exact class activation maps; networks without maps can be trained too.

    Examples:
        >>> has_maps(TrainingConfig((Stage(1, 0.1),), pooling="max"))
        False
    """
    known = MODELS.get(config.model)
    return config.pooling != "max" and (known is None or known.map_size is not None)
