"""The images of a run: read, and checked against each other and the configuration."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_cam.data import AnnotatedImages, AnnotationError, describe_problems, read_annotations
from keras_cam.training.config import ConfigError, TrainingConfig


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        train: the images to train on.
        validation: the images to judge the model by; None without any.
    """

    train: AnnotatedImages
    validation: AnnotatedImages | None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.train.class_names

    def identity(self) -> dict[str, Any]:
        """What tells these data from others, wherever they are: numbers, names and a digest of all labels."""
        parts = {"train": self.train, "validation": self.validation}
        found: dict[str, Any] = {"labels": list(self.labels)}
        for part, annotated in parts.items():
            if annotated is not None:
                found[part] = {"images": len(annotated), "digest": _digest(annotated)}
        return found


def read_training_data(
    config: TrainingConfig, source: str | None = None, report: Callable[[str], None] = lambda line: None
) -> TrainingData:
    """Reads the images that a configuration wants.

    Args:
        config: the configuration.
        source: where they are, see `keras_cam.data.read_annotations`; None for the place that it says.
        report: called with what is wrong with the annotations.

    Returns:
        The images.

    Raises:
        ConfigError: if nothing says where they are, or they do not fit the configuration or each other.
        AnnotationError: if they cannot be read.
    """
    source = source or config.data
    if source is None:
        raise ConfigError(
            "`data` must say where the images are, for the configuration does not. Received: None"
        )
    train = read_annotations(source, config.train_split)
    validation = None
    if config.validation_split is not None:
        validation = _validation(source, config.validation_split, train)
    for annotated in (train, validation):
        if annotated is not None and annotated.problems:
            report(describe_problems(annotated.problems))
    _check(config, train, validation)
    return TrainingData(train, validation)


def _validation(source: str, split: str, train: AnnotatedImages) -> AnnotatedImages:
    try:
        # A folder without images of some class would number the classes differently.
        return read_annotations(source, split, class_names=train.class_names)
    except AnnotationError:
        raise
    except ValueError:  # the layout knows all its classes by itself
        return read_annotations(source, split)


def _check(config: TrainingConfig, train: AnnotatedImages, validation: AnnotatedImages | None) -> None:
    names = train.class_names
    if config.classes not in (None, len(names)):
        raise ConfigError(
            f"The data must have the {config.classes} `classes` of the configuration. "
            f"Received: {len(names)}, {_first(names)}"
        )
    if len(names) < 2 and not config.multi_label:
        raise ConfigError(f"There must be at least 2 classes to tell apart. Received: {_first(names)}")
    present = {label for image in train for label in (image.labels if config.multi_label else (image.label,))}
    empty = [name for label, name in enumerate(names) if label not in present]
    if empty:
        raise ConfigError(
            f"Each class needs an image to train on. Received: none of {_first(empty)} in {train.source}"
        )
    if validation is not None and validation.class_names != names:
        raise ConfigError(
            "Training and validation must have the same classes in the same order. "
            f"Received: {_first(names)}; and {_first(validation.class_names)}"
        )


def _first(names: "tuple[str, ...] | list[str]", count: int = 5) -> str:
    return ", ".join(map(repr, names[:count])) + (
        f" and {len(names) - count} more" if len(names) > count else ""
    )


def _digest(annotated: AnnotatedImages) -> str:
    digest = hashlib.sha256()
    for image in annotated:
        digest.update(f"{image.name}\0{image.labels}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
