"""What all writers of annotations share: the numbers of classes, and the names of photos."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keras_cam.inference.records import Detection, Localization


@dataclass
class Categories:
    """The classes of a data set, numbered from 0.

    Attributes:
        classes: the classes to which the data set is limited, numbered in this order; None: all of the model.
        names: the name of each number. Without `class_names` only those that occurred so far.

    Examples:
        >>> import numpy as np
        >>> dog = Detection(7, "dog", 0.5, None, np.ones((7, 7), np.float32))
        >>> everything, only_pets = Categories(), Categories(("cat", "dog"))
        >>> everything.number(dog), everything.names, only_pets.number(dog), only_pets.names
        (7, {7: 'dog'}, 1, {0: 'cat', 1: 'dog'})
    """

    classes: Sequence[str] | None = None
    class_names: Sequence[str] | None = None
    names: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = dict(enumerate(self.classes or self.class_names or ()))
        self._numbers = {name: number for number, name in enumerate(self.classes or ())}

    def number(self, detection: Detection) -> int:
        """The number of the class of a detection: the model's own, if there are no `classes`."""
        if self.classes is not None:
            return self._numbers[detection.label]
        self.names.setdefault(detection.class_id, detection.label)
        return detection.class_id

    def dense(self) -> list[str]:
        """The names of all numbers up to the largest one; those in between without a name get one."""
        return [
            self.names.get(number, f"class {number}") for number in range(max(self.names, default=-1) + 1)
        ]


@dataclass(frozen=True)
class AnnotationOptions:
    """What a writer of annotations is told.

    Attributes:
        categories: the classes.
        images_dir: the folder that the names of photos are relative to.
        masks: whether masks are written.
    """

    categories: Categories
    images_dir: Path
    masks: bool = False

    def name(self, record: Localization) -> str:
        """The path of a photo relative to `images_dir`, with slashes; an array keeps its name."""
        if record.pixels is not None:
            return record.image
        return os.path.relpath(record.image, self.images_dir).replace(os.sep, "/")


def readable(text: str) -> str:
    """Text that every encoding and format can hold: what is not printable becomes an escape sequence.

    Examples:
        >>> print(readable("caf\\u00e9\\x01\\udcff.jpg"))
        café\\x01\\udcff.jpg
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
