"""The rule for names of classes, which files keep one a line."""

from collections import Counter
from collections.abc import Iterable


def check_labels(labels: Iterable[str], name: str = "labels", unique: bool = True) -> None:
    """Raise a `ValueError` unless all labels are text on one line, and different.

    Args:
        labels: the names of the classes.
        name: what the error calls them.
        unique: whether the same name twice is an error.

    Examples:
        >>> check_labels(["cat", "hot\\ndog"])
        Traceback (most recent call last):
        ...
        ValueError: `labels` must be different names, each of one line. Received: 'hot\\ndog' for class 1
    """
    labels = list(labels)
    rule = f"`{name}` must be different names, each of one line."
    for place, label in enumerate(labels):
        if not isinstance(label, str) or label.splitlines() != [label] or not label.strip():
            raise ValueError(f"{rule} Received: {label!r} for class {place}")
    often = [label for label, count in Counter(map(str.strip, labels)).items() if count > 1]
    if unique and often:
        places = ", ".join(str(place) for place, label in enumerate(labels) if label.strip() == often[0])
        raise ValueError(f"{rule} Received: {often[0]!r} for the classes {places}")
