"""The images of a run, checked against each other and against the configuration."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_cam.data import AnnotatedImages, AnnotationError, describe_problems, read_annotations
from keras_cam.training.config import ConfigError, TrainingConfig


@dataclass(frozen=True)
class TrainingData:
    """The images of a run.

    Attributes:
        train: the images to train on.
        validation: the images to validate on; None for no validation.
    """

    train: AnnotatedImages
    validation: AnnotatedImages | None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.train.class_names

    def identity(self) -> dict[str, Any]:
        """What identifies the data, wherever they are stored: numbers, names and a digest of all labels."""
        parts = {"train": self.train, "validation": self.validation}
        found: dict[str, Any] = {"labels": list(self.labels)}
        for part, annotated in parts.items():
            if annotated is not None:
                found[part] = {"images": len(annotated), "digest": _digest(annotated)}
        return found


def read_training_data(
    config: TrainingConfig, source: str | None = None, report: Callable[[str], None] = lambda line: None
) -> TrainingData:
    """Read the images that a configuration names.

    Args:
        config: the configuration.
        source: the images, see `keras_cam.data.read_annotations`; None for those that `config` names.
        report: called with the problems of the annotations.

    Raises:
        ConfigError: there is no source or no such split, or the images do not fit the configuration or each
            other.
        AnnotationError: the annotations cannot be read.
    """
    source = source or config.data
    if source is None:
        raise ConfigError("`data` must name the images, as the configuration does not. Received: data=None")
    train = _read(source, "train_split", config.train_split, allow_outside=config.allow_outside)
    validation = None
    if config.validation_split is not None:
        validation = _validation(source, config.validation_split, train, config.allow_outside)
    for annotated in (train, validation):
        if annotated is not None and annotated.problems:
            report(describe_problems(annotated.problems))
    _check(config, train, validation)
    return TrainingData(train, validation)


def _read(source: str, option: str, split: str | None, **options: Any) -> AnnotatedImages:
    try:
        return read_annotations(source, split, **options)
    except AnnotationError:
        raise
    except ValueError as error:
        raise ConfigError(f"`{option}` does not fit the data: {error}") from error


def _validation(source: str, split: str, train: AnnotatedImages, allow_outside: bool) -> AnnotatedImages:
    try:
        # A folder without images of some class would number the classes differently.
        return _read(
            source, "validation_split", split, class_names=train.class_names, allow_outside=allow_outside
        )
    except ConfigError:  # some layouts define all their classes themselves, and take no `class_names`
        return _read(source, "validation_split", split, allow_outside=allow_outside)


def _check(config: TrainingConfig, train: AnnotatedImages, validation: AnnotatedImages | None) -> None:
    names = train.class_names
    if config.classes not in (None, len(names)):
        raise ConfigError(
            f"The data must have the {config.classes} `classes` of the configuration. "
            f"Received: {len(names)}, {_first(names)}"
        )
    if len(names) < 2 and not config.multi_label:
        raise ConfigError(f"There must be at least 2 classes. Received: {_first(names)}")
    present = {label for image in train for label in (image.labels if config.multi_label else (image.label,))}
    empty = [name for label, name in enumerate(names) if label not in present]
    if empty:
        raise ConfigError(
            f"Each class must have a training image. Received: none of {_first(empty)} in {train.source}"
        )
    if validation is not None and validation.class_names != names:
        raise ConfigError(
            "Training and validation must have the same classes in the same order. "
            f"Received: {_first(names)}; and {_first(validation.class_names)}"
        )
    _check_no_overlap(train, validation)


def _check_no_overlap(train: AnnotatedImages, validation: AnnotatedImages | None) -> None:
    """Refuse validation on training images; images that are not files of their own cannot be compared."""
    files = {image.image for image in train if isinstance(image.image, str)}
    shared = [image.name for image in validation or () if image.image in files]
    if shared:
        raise ConfigError(
            "`train_split` and `validation_split` must not share images. "
            f"Received: {len(shared)} images in both, {_first(shared)}"
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
