"""Which class of a model is which class of a data set."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from keras_cam.data.annotated_images import AnnotatedImages
from keras_cam.models.labels import class_names

# Names that do not say what a class is: numbers, and the WordNet ids of ImageNet's folders.
_NUMBER = re.compile(r"(?:class )?(\d{1,9})")
_CODE = re.compile(r"(?:class )?\d+|n\d{8}")


@dataclass(frozen=True)
class ClassMatch:
    """The classes of a data set among those of a model.

    Attributes:
        names: the names of the N classes of the model.
        numbers: for each class of the data set, its number in the model.
        remark: a line for people if the classes are not simply the same; else empty.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    remark: str = ""

    def apply(self, annotated: AnnotatedImages) -> AnnotatedImages:
        """The data set with the model's classes, in the model's order."""
        images = annotated.images
        if self.numbers != tuple(range(len(self.numbers))):
            numbers = np.array(self.numbers, np.int64)
            images = tuple(
                replace(
                    image,
                    label=self.numbers[image.label],
                    labels=tuple(self.numbers[label] for label in image.labels),
                    box_labels=numbers[image.box_labels],
                )
                for image in images
            )
        return replace(annotated, class_names=self.names, images=images)


def match_classes(data: Sequence[str], classes: int, labels: Sequence[str] | None = None) -> ClassMatch:
    """Find the classes of a data set among those of a model: by name where both are known, else by number.

    Names are equal if they differ only in upper and lower case, `_` and `-` for spaces, and an explanation in
    parentheses. Of several names, separated by commas as in WordNet, one has to be equal. A model of 1000
    classes without names has ImageNet's, if the data set has them, too. Numbers ("7", "class 7") and WordNet
    ids ("n02123045") are no names, unless both sides have the same ones.

    Args:
        data: the names of the classes of the data set.
        classes: the number of classes of the model.
        labels: their names, or None.

    Returns:
        The match. Each class of the data set has a class of the model of its own; the model may have more.

    Raises:
        ValueError: a class of the data set is unknown to the model or may be several of its classes; or there
            are no names to compare, and the numbers of classes differ.

    Examples:
        >>> match = match_classes(["grey_wolf", "tabby"], 3, ["cat, tabby", "dingo", "grey wolf"])
        >>> match.numbers, match.remark
        ((2, 0), "Classes are matched by name: 'grey_wolf', class 0 of the data, is class 2 of the model.")
        >>> match_classes(["cat", "dog"], 2).numbers
        (0, 1)
    """
    known = class_names(classes, carried=labels)
    numbers, unknown = _by_name(data, known)
    if not unknown:
        return ClassMatch(known, numbers, "" if _are_codes(data) else _moved(data, numbers))
    # Of a model without labels, ImageNet's names are a guess.
    is_named = not _are_codes(known) and (labels is not None or len(data) != classes)
    if is_named and not _are_codes(data):
        raise ValueError(
            f"The model must have the classes of the data, by name. Received: a model of {classes} classes, "
            f"and data of {len(data)}; {len(unknown)} of these are not one class of it: "
            f"{first_names(unknown)}"
        )
    return _by_number(data, known)


def _are_codes(names: Sequence[str]) -> bool:
    return all(_CODE.fullmatch(name) for name in names)


def _by_name(data: Sequence[str], known: Sequence[str]) -> tuple[tuple[int, ...], list[str]]:
    """The number of each class; and the names that have none, or not one of their own."""
    places: dict[str, set[int]] = {}
    for place, name in enumerate(known):
        for one in {name, *_synonyms(name)}:
            places.setdefault(one, set()).add(place)
    exact = {name: place for place, name in enumerate(known) if known.count(name) == 1}
    candidates = [
        {exact[name]} if name in exact else set().union(*(places.get(one, ()) for one in _synonyms(name)))
        for name in data
    ]
    # In the same order ImageNet's two cranes, a bird and a machine, are told apart.
    if len(data) == len(known) and all(place in found for place, found in enumerate(candidates)):
        return tuple(range(len(data))), []
    numbers = [min(found) if len(found) == 1 else -1 for found in candidates]
    uses = Counter(numbers)
    unknown = [name for name, number in zip(data, numbers, strict=True) if number < 0 or uses[number] > 1]
    return tuple(numbers), unknown


def _synonyms(name: str) -> set[str]:
    """The different names in a name, in one spelling."""
    parts = {name, *name.split(",")}
    parts |= {re.sub(r"\(.*\)", "", part) for part in parts}
    return {" ".join(re.split(r"[\s_-]+", part.casefold().strip(" _-"))) for part in parts} - {""}


def _by_number(data: Sequence[str], known: Sequence[str]) -> ClassMatch:
    found = [_NUMBER.fullmatch(name) for name in data]
    own = [int(one[1]) for one in found if one]
    are_numbers = len(own) == len(data) == len(set(own)) and max(own) < len(known)
    has_names = _are_codes(data) and not _are_codes(known)
    if are_numbers and (has_names or len(data) != len(known)):
        numbers = own
    elif len(data) == len(known) and (not has_names or own == sorted(own)):
        numbers = list(range(len(data)))
    else:
        raise ValueError(
            "The data must have the classes of the model, or their numbers as names. "
            f"Received: data of {len(data)} classes, {first_names(data)}; and a model of {len(known)}"
        )
    if has_names:
        return ClassMatch(tuple(known), tuple(numbers))
    names = [f"class {number}" for number in range(len(known))]
    for name, number in zip(data, numbers, strict=True):
        names[number] = name
    remark = "The model does not name its classes, so that they are compared by number."
    return ClassMatch(tuple(names), tuple(numbers), "" if _are_codes(data) else remark)


def _moved(data: Sequence[str], numbers: Sequence[int]) -> str:
    for place, number in enumerate(numbers):
        if place != number:
            return (
                f"Classes are matched by name: {data[place]!r}, class {place} of the data, is class {number} "
                "of the model."
            )
    return ""


def first_names(names: Sequence[str], count: int = 5) -> str:
    """Names for an error, of which there may be many.

    Examples:
        >>> first_names(["cat", "dog", "hare"], count=2)
        "'cat', 'dog' and 1 more"
    """
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(repr, names[:count])) + more
