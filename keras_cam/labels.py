"""The names of the classes."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The names of the 1000 ImageNet classes, all different, in the usual ILSVRC order.

    Examples:
        >>> labels = imagenet_labels()
        >>> len(labels), labels[0], labels[285]
        (1000, 'tench', 'Egyptian cat')
    """
    text = (files("keras_cam") / "models" / "imagenet_labels.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Class names from a UTF-8 text file: one a line, the first line is class 0.

    Blank lines at the end are ignored; between the names they would shift every class after them, so there
    they are an error.

    Args:
        path: the text file.

    Returns:
        One name a class.

    Raises:
        ValueError: if the file is missing, unreadable, empty, not UTF-8 text, or has a blank line in between.

    Examples:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        ...     _ = file.write("cat\\ndog\\n")
        ...     file.flush()
        ...     read_labels(file.name)
        ('cat', 'dog')
    """
    rule = "`path` must be a UTF-8 text file with one class name a line."
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ValueError(f"{rule} Received: path={str(path)!r} ({reason})") from error
    labels = tuple(line.strip() for line in text.rstrip().splitlines())
    if not labels:
        raise ValueError(f"{rule} Received: path={str(path)!r} (empty)")
    if "" in labels:
        raise ValueError(f"{rule} Received: path={str(path)!r} (line {labels.index('') + 1} is blank)")
    return labels


def labels_of(model: "keras.Model") -> tuple[str, ...] | None:
    """The names that a model carries in a `keras_cam.layers.ClassLabels` layer.

    Args:
        model: a Keras model.

    Returns:
        One name a class; None if there is no such layer, or if several disagree.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=2, labels=["cat", "dog"])
        >>> labels_of(keras_cam.build_localizer(model))
        ('cat', 'dog')
    """
    from keras_cam.layers import ClassLabels

    layers = model._flatten_layers(include_self=False, recursive=True)
    found = {layer.labels for layer in layers if isinstance(layer, ClassLabels)}
    return found.pop() if len(found) == 1 else None


def class_names_of(model: "keras.Model", classes: int) -> tuple[str, ...]:
    """The names that a model carries, else the usual ones for so many classes, see `labels_for`.

    Examples:
        >>> import keras_cam
        >>> class_names_of(keras_cam.build_model("mobilenet_v2", classes=2), 2)
        ('class 0', 'class 1')
    """
    return labels_of(model) or labels_for(classes)


def labels_for(classes: int) -> tuple[str, ...]:
    """Names for a classifier that comes without any: ImageNet's for 1000 classes, else their numbers.

    Args:
        classes: how many classes the classifier tells apart.

    Returns:
        `classes` names.

    Raises:
        ValueError: if `classes` is not positive.

    Examples:
        >>> labels_for(2)
        ('class 0', 'class 1')
        >>> labels_for(1000)[1]
        'goldfish'
    """
    if classes < 1:
        raise ValueError(f"`classes` must be at least 1. Received: classes={classes!r}")
    if classes == len(imagenet_labels()):
        return imagenet_labels()
    return tuple(f"class {class_id}" for class_id in range(classes))
