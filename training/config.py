"""The configuration of a training run: frozen dataclasses that check their values."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from keras_cam.models.registry import MODELS
from keras_cam.training.field_types import described, fits

AUTO = "auto"
"""The split of `TrainingConfig` that is chosen by what the data have."""


class ConfigError(ValueError):
    """A configuration is not valid, or does not fit the data or the folder of the run."""


def _check(name: str, value: Any, rule: str, is_kept: bool) -> None:
    if not is_kept:
        raise ConfigError(f"`{name}` must be {rule}. Received: {name}={value!r}")


def _check_types(config: Any) -> None:
    """Check the fields against their annotations, whoever made the configuration."""
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        _check(name, value, described(kind), fits(value, kind))


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images; by default there are none.

    Attributes:
        crop_scale: the smallest and the largest fraction of the image's area that a crop keeps; None for no
            crops.
        crop_ratio: the smallest and the largest width of a crop divided by its height.
        flip: whether images are mirrored, left to right, with probability 1/2.
        color: how much brightness, contrast and saturation change, in [0, 1]; 0 for no change.
        hide: the probability with which each patch of a grid is hidden (Hide-and-Seek); 0 for none.
        hide_grid: the number of patches along each side of the grid.
        mixup: the parameter of the Beta distribution of MixUp's weights; 0 for no MixUp.
        cutmix: the largest fraction of an image that CutMix replaces, in [0, 1]; 0 for no CutMix.
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


@dataclass(frozen=True)
class Stage:
    """One stage of training, with an optimizer of its own.

    Attributes:
        epochs: the number of passes over the images.
        learning_rate: the highest learning rate of the stage.
        trains: "head", only the classifier behind the pooling; or "all" layers.
        batch_norm: "train"; or "frozen": batch normalization keeps its statistics and scales.
        optimizer: "sgd" or "adamw".
        momentum: the momentum of "sgd".
        weight_decay: the fraction of each weight that an update subtracts, times the learning rate. Biases
            and the scales of normalization do not decay.
        schedule: "constant", "cosine" (down to 0), or "step".
        step_epochs: the number of epochs between two steps of the schedule "step".
        step_factor: the factor by which each step multiplies the learning rate.
        warmup_epochs: the number of epochs in which the learning rate first rises linearly from 0.
        clip_norm: the largest global norm of the gradients; None for no clipping.
        accumulate: the number of batches whose gradients are averaged for one update.
        ema: the momentum of an exponential moving average of the weights. The averages are validated, and
            kept at the end of the stage. None for no average.
        label_smoothing: the fraction of each label that is spread over all classes.
        patience: end the stage early if the figure that `TrainingConfig.select` names, or else the accuracy,
            has not become better for this many validations. Such a stage is validated after every epoch. None
            for all epochs.
        augmentation: see `Augmentation`. Without any, a stage that trains only the head computes the features
            of each image once.
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
    patience: int | None = None
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        _check_types(self)
        for name in ("epochs", "accumulate", "patience"):
            value = getattr(self, name)
            _check(name, value, "at least 1", value is None or value >= 1)
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
    """The configuration of a run: all options except the folders of the data and of the results.

    Attributes:
        stages: the stages of training, one after the other.
        model: a name from `keras_cam.list_models()`; or "module:function" for a network of your own. The
            function is called with `classes` and `input_shape`, and with those of `pooling`, `dropout`,
            `head_filters`, `head_groups` and `output_stride` that are not None. It returns a `keras.Model`
            from pixels in 0..255 to logits, with layers named `features`, `pooler` and `head` as in
            `keras_cam.build_model`.
        data: the images, if the command does not name them: see `keras_cam.data.read_annotations`.
        train_split: the split to train on; None for all images; "auto" for the split "train" or, if the data
            have none, all images.
        allow_outside: whether annotation files may name images outside of their folder.
        validation_split: the split to validate on; None for no validation; a number in (0, 1) for this
            fraction of the training images of each class, at least one, held back at random with a fixed
            seed; "auto" for the split "validation", "val" or "test" or, if the data have none, 0.2.
        classes: the number of classes that the data must have; None for any number.
        multi_label: whether an image may have several classes: the model then ends in a sigmoid for each
            class instead of a softmax over all classes.
        weights: what the network starts from, such as a `.caffemodel` or `.pth` file that others published:
            see `keras_cam.build_model`.
        backbone_weights: see `keras_cam.build_model`.
        pooling: see `keras_cam.build_model`.
        dropout: see `keras_cam.build_model`.
        head_filters: see `keras_cam.build_model`.
        head_groups: see `keras_cam.build_model`.
        output_stride: see `keras_cam.build_model`.
        image_size: the height and width of the images in pixels; None for the network's default.
        non_negative_head: whether the weights of the classifier are constrained to be non-negative, so that a
            map is a sum of evidence for its class.
        attention_dropout: the names of the layers that are followed by attention dropout, see
            `keras_cam.layers.AttentionDropout`.
        batch_size: the number of images in a batch, of all workers and devices together.
        class_weights: "balanced" weights images by the inverse frequency of their class.
        precision: "float32", "mixed_float16" or "mixed_bfloat16".
        jit_compile: whether XLA compiles the training step. "auto" compiles it on a single GPU, and not on
            CPUs, where compiling takes longer than it saves.
        cache: "memory" keeps decoded images in memory.
        seed: the seed of all random numbers.
        select: the epoch whose weights the saved model has: the "last" one, or the one with the best
            validation "accuracy", which needs labels only, or with the best boxes, "gt_known": the fraction
            of images whose box of the true class is right. With "gt_known" the run depends on boxes.
        validate_every: the number of epochs between validations; 1 validates after every epoch, and 0 only
            after the last epoch of each stage, which is always validated.
        full_epochs_up_to: the largest number of training images for which `Stage.epochs` hold. With more
            images there are fewer epochs in proportion, at least one, so that training takes as long. None
            for any number.
        foreground: whether the localizer also learns what is foreground from the training images, see
            `keras_cam.training.train_foreground`. For images of similar objects.
        checkpoint_every: the number of steps between checkpoints; there is always one after each epoch. None
            for no other checkpoint.
        pictures: the number of validation images that are drawn with maps and boxes.
    """

    stages: tuple[Stage, ...]
    model: str = "efficientnet_lite0"
    data: str | None = None
    train_split: str | None = "train"
    allow_outside: bool = False
    validation_split: str | float | None = "test"
    classes: int | None = None
    multi_label: bool = False
    weights: str | None = None
    backbone_weights: str | None = None
    pooling: str | None = None
    dropout: float | None = None
    head_filters: int | None = None
    head_groups: int | None = None
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
    full_epochs_up_to: int | None = None
    foreground: bool = False
    checkpoint_every: int | None = None
    pictures: int = 6

    def __post_init__(self) -> None:
        _check_types(self)
        known = self.model in MODELS or ":" in self.model
        _check("model", self.model, f'"module:function" or one of {list(MODELS)}', known)
        _check("stages", self.stages, "at least one `Stage`", len(self.stages) >= 1)
        for name in ("batch_size", "classes", "checkpoint_every", "full_epochs_up_to"):
            value = getattr(self, name)
            _check(name, value, "at least 1", value is None or value >= 1)
        for name in ("seed", "validate_every", "pictures"):
            _check(name, getattr(self, name), "at least 0", getattr(self, name) >= 0)
        if self.image_size is not None:
            _check("image_size", self.image_size, "positive", min(self.image_size) >= 1)
        if isinstance(self.validation_split, int | float):
            rule, is_kept = "a split, None or a number in (0, 1)", 0 < self.validation_split < 1
            _check("validation_split", self.validation_split, rule, is_kept)
        if self.select != "last" and self.validation_split is None:
            raise ConfigError(
                f'`select` must be "last" without a `validation_split`. Received: select={self.select!r}'
            )
        if self.multi_label and self.class_weights:
            raise ConfigError(
                "`class_weights` must be None if `multi_label` is True: an image then has no single class. "
                f"Received: class_weights={self.class_weights!r}"
            )

    @property
    def epochs(self) -> int:
        """The number of epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def for_images(self, images: int) -> "TrainingConfig":
        """The configuration with the epochs that `full_epochs_up_to` allows for a number of training images.

        Examples:
            >>> config = TrainingConfig((Stage(60, 0.1), Stage(4, 0.1)), full_epochs_up_to=1000)
            >>> [stage.epochs for stage in config.for_images(5000).stages]
            [12, 1]
        """
        if self.full_epochs_up_to is None or images <= self.full_epochs_up_to:
            return self
        part = self.full_epochs_up_to / images
        stages = (
            dataclasses.replace(
                stage,
                epochs=(epochs := max(1, round(part * stage.epochs))),
                warmup_epochs=min(stage.warmup_epochs, epochs),
            )
            for stage in self.stages
        )
        return dataclasses.replace(self, stages=tuple(stages))

    def to_dict(self) -> dict[str, Any]:
        """The values in the types of JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))
