"""What a training run is told: a frozen dataclass, checked when it is made."""

import dataclasses
import json
from ast import literal_eval
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from runpy import run_path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from keras_cam.models.registry import MODELS

ConfigValue = Any

_UNIONS = (Union, UnionType)


class ConfigError(ValueError):
    """A configuration, or a part of it, is none; the message says the rule, the options and what came."""


def _check_types(config: Any) -> None:
    """Tell apart what a dataclass takes and what was given."""
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if not _fits(value, kind):
            raise ConfigError(f"`{name}` must be {_described(kind)}. Received: {name}={value!r}")


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin is Literal:
        return value in get_args(kind) and not isinstance(value, bool)
    if origin in _UNIONS:
        return any(_fits(value, option) for option in get_args(kind))
    if origin is tuple:
        kinds = get_args(kind)
        if not isinstance(value, tuple) or (kinds[-1] is not ... and len(kinds) != len(value)):
            return False
        return all(_fits(entry, kinds[0]) for entry in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _described(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return f"one of {list(get_args(kind))}"
    if origin in _UNIONS:
        return " or ".join(_described(option) for option in get_args(kind))
    if origin is tuple:
        kinds = get_args(kind)
        count = "" if kinds[-1] is ... else f"{len(kinds)} of "
        return f"a tuple of {count}{_described(kinds[0])}"
    return {
        NoneType: "None",
        int: "an integer",
        float: "a number",
        str: "a string",
        bool: "True or False",
    }.get(kind, f"a `{getattr(kind, '__name__', kind)}`")


def _check(name: str, value: Any, rule: str, fits: bool) -> None:
    if not fits:
        raise ConfigError(f"`{name}` must be {rule}. Received: {name}={value!r}")


@dataclass(frozen=True)
class Augmentation:
    """How training images are changed at random; by default not at all.

    Attributes:
        crop_scale: the least and the largest part of the image's area that is kept; None keeps all of it.
        crop_ratio: the least and the largest ratio of the crop's width to its height.
        flip: whether images are mirrored, left to right, half of the time.
        color: how much brightness, contrast and saturation change, in [0, 1]; 0 for not at all.
        hide: the probability with which each patch of a grid is hidden (Hide-and-Seek); 0 for none.
        hide_grid: how many patches the grid has a side.
        mixup: the parameter of the Beta distribution of MixUp's weights; 0 for none.
        cutmix: the largest part of an image that CutMix replaces, in [0, 1]; 0 for none.
    """

    crop_scale: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = False
    color: float = 0.0
    hide: float = 0.0
    hide_grid: int = 4
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        _check_types(self)
        if self.crop_scale is not None:
            low, high = self.crop_scale
            _check("crop_scale", self.crop_scale, "an ascending pair in (0, 1]", 0 < low <= high <= 1)
        low, high = self.crop_ratio
        _check("crop_ratio", self.crop_ratio, "an ascending pair of positive numbers", 0 < low <= high)
        for name in ("color", "cutmix"):
            _check(name, getattr(self, name), "in [0, 1]", 0 <= getattr(self, name) <= 1)
        _check("hide", self.hide, "in [0, 1)", 0 <= self.hide < 1)
        _check("hide_grid", self.hide_grid, "at least 1", self.hide_grid >= 1)
        _check("mixup", self.mixup, "at least 0", self.mixup >= 0)
        if self.mixup and self.cutmix:
            raise ConfigError(
                "Only one of `mixup` and `cutmix` may be given. "
                f"Received: mixup={self.mixup}, cutmix={self.cutmix}"
            )

    @property
    def mixes(self) -> bool:
        """Whether images, and so labels, are mixed."""
        return bool(self.mixup or self.cutmix)


@dataclass(frozen=True)
class Stage:
    """One stage of training, with an optimizer of its own.

    Attributes:
        epochs: how often all images are shown.
        learning_rate: the highest one.
        trains: "head", only the classifier behind the pooling; or "all".
        batch_norm: "train"; or "frozen": the statistics and scales that are there stay.
        optimizer: "sgd" or "adamw".
        momentum: that of "sgd".
        weight_decay: the part of each weight that an update takes away, times the learning rate. Biases and
            the scales of normalization are left out.
        schedule: "constant", "cosine" (down to 0), or "step".
        step_epochs: after how many epochs each "step" comes.
        step_factor: what the learning rate is multiplied by then.
        warmup_epochs: over how many epochs the learning rate rises from 0 first.
        clip_norm: the largest norm of all gradients together; None for any.
        accumulate: over how many batches gradients are averaged before an update.
        ema: the momentum of an exponential moving average of the weights, which is what is validated and kept
            at the end; None for the weights themselves.
        label_smoothing: the part of a label that is spread over all classes.
        augmentation: see `Augmentation`. Without any, a stage that trains the head computes the features of
            each image only once.
    """

    epochs: int
    learning_rate: float
    trains: Literal["head", "all"] = "all"
    batch_norm: Literal["train", "frozen"] = "train"
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    step_epochs: float = 30.0
    step_factor: float = 0.1
    warmup_epochs: float = 0.0
    clip_norm: float | None = None
    accumulate: int = 1
    ema: float | None = None
    label_smoothing: float = 0.0
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        _check_types(self)
        for name in ("epochs", "accumulate"):
            _check(name, getattr(self, name), "at least 1", getattr(self, name) >= 1)
        for name in ("learning_rate", "step_epochs", "step_factor"):
            _check(name, getattr(self, name), "positive", getattr(self, name) > 0)
        for name in ("weight_decay", "warmup_epochs"):
            _check(name, getattr(self, name), "at least 0", getattr(self, name) >= 0)
        for name in ("momentum", "label_smoothing"):
            _check(name, getattr(self, name), "in [0, 1)", 0 <= getattr(self, name) < 1)
        _check("clip_norm", self.clip_norm, "positive or None", self.clip_norm is None or self.clip_norm > 0)
        _check("ema", self.ema, "in (0, 1) or None", self.ema is None or 0 < self.ema < 1)
        if self.warmup_epochs > self.epochs:
            raise ConfigError(
                f"`warmup_epochs` must be at most `epochs`, {self.epochs}. "
                f"Received: warmup_epochs={self.warmup_epochs}"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """All that a run is told, besides where the data and the results are.

    Attributes:
        stages: what is trained, one after the other.
        model: a name from `keras_cam.list_models()`; or "module:function" for a network of your own: called
            with `classes` and `input_shape`, and with those of `pooling`, `dropout`, `head_filters` and
            `output_stride` that are given, the function returns a `keras.Model` from pixels in 0..255 to
            logits, whose layers `features`, `pooler` and `head` are what `keras_cam.build_model` calls so.
        data: where the images are if the command does not say it: see `keras_cam.data.read_annotations`.
        train_split: the split to train on; None if the data have only one.
        validation_split: the split to validate on; None for no validation.
        classes: how many classes the data must have; None for as many as they have.
        multi_label: whether an image can have several classes, or none more than others: a sigmoid for each
            class instead of a softmax over all.
        weights: see `keras_cam.build_model`.
        backbone_weights: the same.
        pooling: the same.
        dropout: the same.
        head_filters: the same.
        output_stride: the same.
        image_size: height and width of the images in pixels; None for the network's own.
        non_negative_head: whether the classifier's weights are kept from getting negative, so that a map is a
            sum of evidence for the class, without evidence against it.
        attention_dropout: the layers of the network behind which attention is dropped, see
            `keras_cam.layers.AttentionDropout`.
        batch_size: of all workers and devices together.
        class_weights: "balanced" counts images of rare classes for more, so that each class counts alike.
        precision: "float32", "mixed_float16" or "mixed_bfloat16".
        jit_compile: whether XLA compiles the step; "auto" leaves it to Keras on GPUs and TPUs, and does not
            on CPUs, where compiling takes longer than what it saves.
        cache: "memory" keeps decoded images, for data sets that fit.
        seed: of everything random.
        select: which epoch's weights are kept at the end: those of the "last", or the ones with the best
            validation "accuracy" (of labels) or "gt_known" (of boxes: then boxes have helped to train).
        validate_every: after how many epochs the model is judged, besides the last one of each stage; 0 for
            no more.
        checkpoint_every: after how many steps a checkpoint is written, besides the one after each epoch; None
            for no more.
        pictures: how many validation images are drawn with maps and boxes.
    """

    stages: tuple[Stage, ...]
    model: str = "efficientnet_lite0"
    data: str | None = None
    train_split: str | None = "train"
    validation_split: str | None = "test"
    classes: int | None = None
    multi_label: bool = False
    weights: str | None = None
    backbone_weights: str | None = None
    pooling: str | None = None
    dropout: float | None = None
    head_filters: int | None = None
    output_stride: int | None = None
    image_size: tuple[int, int] | None = None
    non_negative_head: bool = False
    attention_dropout: tuple[str, ...] = ()
    batch_size: int = 32
    class_weights: Literal["balanced"] | None = None
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit_compile: bool | Literal["auto"] = "auto"
    cache: Literal["memory"] | None = None
    seed: int = 0
    select: Literal["last", "accuracy", "gt_known"] = "last"
    validate_every: int = 1
    checkpoint_every: int | None = None
    pictures: int = 6

    def __post_init__(self) -> None:
        _check_types(self)
        known = self.model in MODELS or ":" in self.model
        _check("model", self.model, f'"module:function" or one of {list(MODELS)}', known)
        _check("stages", self.stages, "at least one `Stage`", len(self.stages) >= 1)
        for name in ("batch_size", "classes", "checkpoint_every"):
            value = getattr(self, name)
            _check(name, value, "at least 1", value is None or value >= 1)
        for name in ("seed", "validate_every", "pictures"):
            _check(name, getattr(self, name), "at least 0", getattr(self, name) >= 0)
        if self.image_size is not None:
            _check("image_size", self.image_size, "positive", min(self.image_size) >= 1)
        if self.select != "last" and self.validation_split is None:
            raise ConfigError(
                f'`select` must be "last" without a `validation_split`. Received: select={self.select!r}'
            )
        if self.multi_label and self.class_weights:
            raise ConfigError(
                "`class_weights` must be None if `multi_label`: an image has no single class to count by. "
                f"Received: class_weights={self.class_weights!r}"
            )

    @property
    def epochs(self) -> int:
        """Those of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def to_dict(self) -> dict[str, ConfigValue]:
        """The values as JSON has them."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def list_configs() -> list[str]:
    """The names of the configurations that come with the package.

    Examples:
        >>> "cub10" in list_configs()
        True
    """
    from keras_cam.training import configs

    return sorted(module.name for module in iter_modules(configs.__path__))


def load_config(source: str | Path, overrides: Iterable[str] = ()) -> TrainingConfig:
    """Reads a configuration and changes some of its values.

    Args:
        source: one of `list_configs()`, or the path of a Python file with a function `get_config()`.
        overrides: `key=value` each; `stages.0.epochs=5` reaches into the first stage. A value is a Python
            literal, or else a string.

    Returns:
        The configuration.

    Raises:
        ConfigError: if there is no such configuration, key or value.

    Examples:
        >>> from keras_cam.training import load_config
        >>> config = load_config("cub10", ["batch_size=8", "stages.0.augmentation.flip=True"])
        >>> config.batch_size, config.stages[0].augmentation.flip
        (8, True)
    """
    config = _get_config(str(source))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"A change must be key=value. Received: {override!r}")
        config = _with(config, key.strip().split("."), _value(text.strip()), key.strip())
    return config


def _get_config(source: str) -> TrainingConfig:
    if source in list_configs():
        found = vars(import_module(f"keras_cam.training.configs.{source}"))
    elif source.endswith(".py") and Path(source).is_file():
        found = run_path(source)
    else:
        raise ConfigError(
            f"`config` must be a Python file or one of {', '.join(list_configs())}. Received: {source}"
        )
    config = found["get_config"]() if "get_config" in found else None
    if not isinstance(config, TrainingConfig):
        raise ConfigError(
            f"{source} must have a function `get_config()` that returns a `TrainingConfig`. "
            f"Received: {config!r}"
        )
    return config


def _with(config: Any, keys: list[str], value: ConfigValue, path: str) -> Any:
    """A copy with another value at the place that the keys lead to."""
    first, *rest = keys
    if isinstance(config, tuple) and first.isdecimal() and int(first) < len(config):
        position = int(first)
        entry = _with(config[position], rest, value, path) if rest else value
        return (*config[:position], entry, *config[position + 1 :])
    if not is_dataclass(config) or first not in (names := [field.name for field in fields(config)]):
        options = names if is_dataclass(config) else _places(config)
        raise ConfigError(f"There is no `{path}`: {first!r} must be one of {options}.")
    new = _with(getattr(config, first), rest, value, path) if rest else value
    return replace(config, **{first: new})  # type: ignore[type-var]


def _places(value: Any) -> list[str]:
    return [str(position) for position in range(len(value))] if isinstance(value, tuple) else []


def _value(text: str) -> ConfigValue:
    spelled: Mapping[str, ConfigValue] = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in spelled:
        return spelled[text.lower()]
    try:
        value = literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return tuple(value) if isinstance(value, list) else value
