"""The images of a run, checked against each other and against the configuration."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_cam.check_labels import check_labels
from keras_cam.data import (
    AnnotatedImage,
    AnnotatedImages,
    AnnotationError,
    describe_problems,
    match_classes,
    read_annotations,
)
from keras_cam.data.class_match import first_names
from keras_cam.images.files import ImageError
from keras_cam.training.config import AUTO, ConfigError, TrainingConfig

_VALIDATION_SPLITS = ("validation", "val", "test")
_HELD_BACK = 0.2

_END = 16384


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
        """What identifies the data, wherever they are stored: numbers, names, and digests.

        One digest is of all names and labels, the other of the pixels: of the size of each file and its last
        16 kB, which in a JPEG or PNG file change with any pixel.
        """
        parts = {"train": self.train, "validation": self.validation}
        found: dict[str, Any] = {"labels": list(self.labels)}
        for part, annotated in parts.items():
            if annotated is not None:
                found[part] = {
                    "images": len(annotated),
                    "digest": _digest(annotated),
                    "pixels": _digest_of_pixels(annotated),
                }
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
    train, validation = _splits(source, config, report)
    for annotated in (train, validation):
        if annotated is not None and annotated.problems:
            report(describe_problems(annotated.problems))
    _check(config, train, validation)
    return TrainingData(train, validation)


def _splits(
    source: str, config: TrainingConfig, report: Callable[[str], None]
) -> tuple[AnnotatedImages, AnnotatedImages | None]:
    """The images to train on and to validate on."""
    train_split, outside = config.train_split, config.allow_outside
    if train_split == AUTO:
        train_split = first_split(source, ("train",), outside)
    train = _read(source, "train_split", train_split, allow_outside=outside)
    split = config.validation_split
    if split == AUTO:
        found = None if train_split is None else first_split(source, _VALIDATION_SPLITS, outside)
        split = _HELD_BACK if found is None else found
    if split is None:
        return train, None
    if isinstance(split, str):
        return train, _validation(source, split, train, report, outside)
    train, validation = hold_back(train, split)
    if not len(validation):
        report("No class has more than one image, so there is no validation")
        return train, None
    report(
        f"{len(validation)} of {len(train) + len(validation)} images, {split:.0%} of each class, are held "
        "back for validation; --validation=SPLIT names others"
    )
    return train, validation


def first_split(source: str, names: Sequence[str], allow_outside: bool = False) -> str | None:
    """The first of these splits that the data have; None if they have none of them."""
    for name in names:
        try:
            read_annotations(source, name, allow_outside=allow_outside)
        except ValueError:
            continue
        return name
    return None


def hold_back(annotated: AnnotatedImages, fraction: float) -> tuple[AnnotatedImages, AnnotatedImages]:
    """Split a data set at random, each class in the same proportion, always in the same way.

    Args:
        annotated: the data set.
        fraction: the fraction of each class in the second part, in (0, 1). A class of two images or more has
            at least one image in each part; a single image stays in the first one.

    Returns:
        The two parts, each in the order of the data set.

    Examples:
        >>> from keras_cam.data import AnnotatedImage
        >>> images = tuple(AnnotatedImage(str(i), f"{i}.jpg", i % 2, (i % 2,)) for i in range(20))
        >>> train, validation = hold_back(AnnotatedImages("pets", ("dog", "cat"), images), 0.2)
        >>> len(train), validation.labels.tolist().count(0), validation.labels.tolist().count(1)
        (16, 2, 2)
    """
    labels, rng = annotated.labels, np.random.default_rng(0)
    is_held_back = np.zeros(len(annotated), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        is_held_back[members[:count]] = True
    train, held_back = (
        dataclasses.replace(
            annotated, images=tuple(annotated.images[place] for place in np.flatnonzero(part))
        )
        for part in (~is_held_back, is_held_back)
    )
    return train, dataclasses.replace(held_back, problems=())


def _read(source: str, option: str, split: str | None, **options: Any) -> AnnotatedImages:
    try:
        return read_annotations(source, split, **options)
    except AnnotationError:
        raise
    except ValueError as error:
        raise ConfigError(f"`{option}` does not fit the data: {error}") from error


def _validation(
    source: str,
    split: str,
    train: AnnotatedImages,
    report: Callable[[str], None],
    allow_outside: bool,
) -> AnnotatedImages:
    """The validation images, with the classes of the training images in their order."""
    found = _read(source, "validation_split", split, allow_outside=allow_outside)
    try:
        match = match_classes(found.class_names, len(train.class_names), train.class_names)
    except ValueError as error:
        raise ConfigError(f"Validation must have the classes of training. {error}") from error
    if match.remark:
        report(match.remark)
    return match.apply(found)


def _check(config: TrainingConfig, train: AnnotatedImages, validation: AnnotatedImages | None) -> None:
    names = train.class_names
    try:
        check_labels(names, "names of classes")
    except ValueError as error:
        raise ConfigError(f"{train.source} cannot be trained on. {error}") from error
    if config.classes not in (None, len(names)):
        raise ConfigError(
            f"The data must have the {config.classes} `classes` of the configuration. "
            f"Received: {len(names)}, {first_names(names)}"
        )
    if len(names) < 2 and not config.multi_label:
        raise ConfigError(f"There must be at least 2 classes. Received: {first_names(names)}")
    present = {label for image in train for label in (image.labels if config.multi_label else (image.label,))}
    empty = [name for label, name in enumerate(names) if label not in present]
    if empty:
        raise ConfigError(
            f"Each class must have a training image. Received: none of {first_names(empty)} in {train.source}"
        )
    _check_no_overlap(train, validation)


def _check_no_overlap(train: AnnotatedImages, validation: AnnotatedImages | None) -> None:
    """Refuse validation on training images; images that are not files of their own cannot be compared."""
    files = {image.image for image in train if isinstance(image.image, str)}
    shared = [image.name for image in validation or () if image.image in files]
    if shared:
        raise ConfigError(
            "`train_split` and `validation_split` must not share images. "
            f"Received: {len(shared)} images in both, {first_names(shared)}"
        )


def _digest(annotated: AnnotatedImages) -> str:
    digest = hashlib.sha256()
    for image in annotated:
        digest.update(f"{image.name}\0{image.labels}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _digest_of_pixels(annotated: AnnotatedImages) -> str:
    digest = hashlib.sha256()
    for image in annotated:
        digest.update(_end_of(image))
    return digest.hexdigest()[:16]


def _end_of(image: AnnotatedImage) -> bytes:
    """The size of a stored image, and its last bytes; nothing of one that cannot be read."""
    try:
        if not isinstance(image.image, str):
            content = image.encoded() or b""
            return f"{len(content)}\0".encode() + content[-_END:]
        with open(image.image, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _END, 0))
            return f"{size}\0".encode() + file.read()
    except (OSError, ImageError):  # training leaves it out, and says so
        return b""
