"""Build a classifier by name."""

from collections.abc import Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import keras

from keras_cam.layers import ClassLabels, PixelNormalization
from keras_cam.models.keras_hub import PREFIX, load_preset
from keras_cam.models.published_weights import PublishedWeights, is_published
from keras_cam.models.registry import MODELS, NORMALIZATIONS, PUBLISHED_SUFFIXES, ModelSpec


def build_model(
    name: str,
    weights: str | PathLike[str] | None = None,
    classes: int = 1000,
    input_shape: Sequence[int | None] | None = None,
    *,
    backbone_weights: str | PathLike[str] | None = None,
    pooling: str | None = None,
    dropout: float | None = None,
    head_filters: int | None = None,
    head_groups: int | None = None,
    output_stride: int | None = None,
    classifier_activation: str | None = None,
    labels: Sequence[str] | None = None,
) -> keras.Model:
    """Build an image classifier whose maps `build_localizer` can show.

    The model takes raw RGB pixels in 0..255, (B, H, W, 3), and returns logits (B, classes) in float32;
    normalization is part of the graph. Its layers have names one can rely on: `images`, `normalization`,
    `features` (what is pooled; in plain `googlenet` and `nin_gap` see `pooler`), `pooler`, `head`, and
    `predictions` if there is an activation, `labels` if there are any.

    Args:
        name: one of `keras_cam.list_models()`; or "keras_hub:" and a preset of an image classifier of
            keras_hub, with which its weights are loaded and its preprocessing becomes part of the graph.
            Besides `labels`, only `classes` can be given then: other than 1000 makes a new head.
        weights: None (random); "imagenet", the published classifier, where it is one linear layer over
            global average pooling; the path of a `.weights.h5` or `.keras` file saved from this model; or the
            path of a `.caffemodel` or torchvision's `.pth` file that was published for this network. If it is
            the file of an original whose classifier is not one linear layer over global average pooling, its
            convolutions are loaded, and a warning names the layers that keep random weights.
        classes: int, the number of classes.
        input_shape: (height, width, 3); None for the network's own size. (None, None, 3) takes any size.
        backbone_weights: "imagenet" loads the published weights of the convolutions only; the path of a
            published file loads all but the classifier, for another number of classes.
        pooling: "avg" or "max"; maps are exact only with "avg".
        dropout: float in [0, 1), the part of the units dropped in training; None for the network's own.
        head_filters: int, the filters of the CAM convolution that the paper adds; 1024 by default, or what a
            published file has.
        head_groups: int, its groups; 1 by default, or what a published file has: 2 in the released ones.
        output_stride: 32, 16 or 8, pixels of the image for one position of the map; smaller is finer (and
            slower): later convolutions are dilated, weights stay valid. Networks with squeeze-and-excitation
            average over the finer map then, so their logits differ a little.
        classifier_activation: "softmax", "sigmoid" or None, which returns logits.
        labels: the names of the classes, which the model then carries: see `keras_cam.models.labels`.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: an unknown name, or an argument the network does not take; the message lists the options.
            The same for a published file that is damaged or does not fit: then the message names the layer,
            the shape it must have and the shape it has.
        FileNotFoundError: the file does not exist.
        ModuleNotFoundError: the weights are in a package that is not installed; the message names it.

    Reference:
        Zhou et al., CVPR 2016, section 3.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("vgg16_gap", classes=20, input_shape=(None, None, 3))
        >>> model.output_shape, model.get_layer("features").output.shape
        ((None, 20), (None, None, None, 1024))
    """
    if name.startswith(PREFIX):
        preset = load_preset(name.removeprefix(PREFIX), None if classes == 1000 else classes)
        if labels is None:
            return preset
        return keras.Model(preset.input, ClassLabels(labels, name="labels")(preset.output), name=preset.name)
    spec = _spec(name)
    options = {
        "pooling": pooling,
        "dropout": dropout,
        "head_filters": head_filters,
        "head_groups": head_groups,
        "output_stride": output_stride,
    }
    options = {option: value for option, value in options.items() if value is not None}
    _check_options(name, spec, options)
    _check_common(classes, classifier_activation)
    _check_weights(name, spec, weights, backbone_weights, classes)
    file = next((file for file in (weights, backbone_weights) if is_published(file)), None)
    published = None if file is None else PublishedWeights(name, file)
    if published is not None:
        options = {**published.options, **options}
    elif "imagenet" in (weights, backbone_weights):
        options["backbone_weights"] = "imagenet"

    module, _, function = spec.network.partition(":")
    family = import_module(f"keras_cam.models.{module}")
    images = keras.Input(_input_shape(spec, input_shape), name="images")
    normalization = published.normalization if published else spec.normalization
    pixels = PixelNormalization(**NORMALIZATIONS[normalization], name="normalization")(images)
    outputs = getattr(family, function)(pixels, classes, **spec.arguments, **options)
    if classifier_activation is not None:
        activation = keras.layers.Activation(classifier_activation, dtype="float32", name="predictions")
        outputs = activation(outputs)
    if labels is not None:
        outputs = ClassLabels(labels, name="labels")(outputs)
    model = keras.Model(images, outputs, name=name)
    if weights == "imagenet":
        family.load_imagenet_classifier(model, **spec.arguments)
    elif published is not None:
        published.load(model, convolutions_only=file is backbone_weights)
    elif weights is not None:
        _load_file(model, Path(weights))
    return model


def _spec(name: str) -> ModelSpec:
    if name not in MODELS:
        raise ValueError(f"`name` must be one of {list(MODELS)}. Received: name={name!r}")
    return MODELS[name]


def _check_options(name: str, spec: ModelSpec, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if option not in spec.options:
            raise ValueError(f"{name!r} takes the options {list(spec.options)}. Received: {option}={value!r}")
    if options.get("pooling", "avg") not in ("avg", "max"):
        raise ValueError(f'`pooling` must be "avg" or "max". Received: pooling={options["pooling"]!r}')
    if not 0 <= options.get("dropout", 0.0) < 1:
        raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={options['dropout']!r}")


def _check_common(classes: int, classifier_activation: str | None) -> None:
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise ValueError(f"`classes` must be a positive integer. Received: classes={classes!r}")
    if classifier_activation not in (None, "softmax", "sigmoid"):
        raise ValueError(
            '`classifier_activation` must be "softmax", "sigmoid" or None. '
            f"Received: classifier_activation={classifier_activation!r}"
        )


def _check_weights(name: str, spec: ModelSpec, weights: Any, backbone_weights: Any, classes: int) -> None:
    if backbone_weights not in (None, "imagenet") and not is_published(backbone_weights):
        raise ValueError(
            '`backbone_weights` must be "imagenet", None or the path of a '
            f"{' or '.join(PUBLISHED_SUFFIXES)} file; any other file goes to `weights`. "
            f"Received: backbone_weights={backbone_weights!r}"
        )
    if weights is not None and is_published(backbone_weights):
        raise ValueError(
            "Either `weights` or the file of `backbone_weights` can be loaded. "
            f"Received: weights={str(weights)!r}, backbone_weights={str(backbone_weights)!r}"
        )
    if backbone_weights == "imagenet" and not spec.backbone_weights:
        raise ValueError(f"{name!r} has no published ImageNet weights: {spec.no_weights}")
    if weights == "imagenet":
        if not spec.full_weights:
            advice = ' Use backbone_weights="imagenet" and train the head.' if spec.backbone_weights else ""
            raise ValueError(f'{name!r} has no weights="imagenet": {spec.no_weights}{advice}')
        if classes != 1000:
            raise ValueError(
                'weights="imagenet" has 1000 classes; use backbone_weights="imagenet" for another number. '
                f"Received: classes={classes}"
            )


def _input_shape(spec: ModelSpec, input_shape: Sequence[int | None] | None) -> tuple[int | None, ...]:
    if input_shape is None:
        return (*spec.input_size, 3)
    shape = tuple(input_shape)
    if len(shape) != 3 or shape[2] != 3 or any(size is not None and size < 1 for size in shape):
        raise ValueError(
            "`input_shape` must be (height, width, 3), RGB, with None for any size. "
            f"Received: input_shape={input_shape!r}"
        )
    return shape


def _load_file(model: keras.Model, path: Path) -> None:
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ValueError(
            '`weights` must be None, "imagenet" or the path of a '
            f"{', '.join(PUBLISHED_SUFFIXES)}, .weights.h5 or .keras file. "
            f"Received: weights={str(path)!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"`weights` must be a file. Received: weights={str(path)!r}")
    model.load_weights(path)
