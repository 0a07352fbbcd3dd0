"""The names of the classes."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from keras_cam.check_labels import check_labels

if TYPE_CHECKING:
    import keras


LABEL_LISTS = ("imagenet", "places205", "places365")
"""The lists of class names that come with the package, see `label_list`."""


@cache
def label_list(name: str) -> tuple[str, ...]:
    """The class names of a data set, all different, in the order of its published networks.

    Args:
        name: "imagenet", "places205" or "places365".

    Returns:
        One name a class. Those of Places are as in its category files: `church/outdoor` is a church seen from
        outside.

    Raises:
        ValueError: there is no such list.

    References:
        Zhou et al.: Learning Deep Features for Scene Recognition using Places Database, NIPS 2014, and
        Places: A 10 Million Image Database for Scene Recognition, TPAMI 2017.

    Examples:
        >>> label_list("places365")[:3], len(label_list("places205"))
        (('airfield', 'airplane_cabin', 'airport_terminal'), 205)
    """
    if name not in LABEL_LISTS:
        raise ValueError(f"`name` must be one of {LABEL_LISTS}. Received: name={name!r}")
    text = (files("keras_cam") / "models" / f"{name}_labels.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def imagenet_labels() -> tuple[str, ...]:
    """The names of the 1000 ImageNet classes, all different, in the usual ILSVRC order.

    Examples:
        >>> labels = imagenet_labels()
        >>> len(labels), labels[0], labels[285]
        (1000, 'tench', 'Egyptian cat')
    """
    return label_list("imagenet")


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Class names from a UTF-8 text file: one a line, the first line is class 0.

    Blank lines at the end are ignored. Between the names they are an error, because they would shift every
    class after them.

    Args:
        path: the text file, or one of `LABEL_LISTS`.

    Returns:
        One name a class.

    Raises:
        ValueError: if the file is missing, unreadable, empty or not UTF-8 text; or has a blank line between,
            another kind of line break inside of a line, or the same name twice.

    Examples:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        ...     _ = file.write("cat\\ndog\\n")
        ...     file.flush()
        ...     read_labels(file.name)
        ('cat', 'dog')
        >>> read_labels("places365")[48]
        'beach'
    """
    if str(path) in LABEL_LISTS:
        return label_list(str(path))
    rule = f"`path` must be one of {LABEL_LISTS} or a UTF-8 text file with one class name a line."
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ValueError(f"{rule} Received: path={str(path)!r} ({reason})") from error
    labels = tuple(line.strip() for line in text.rstrip().split("\n"))
    if labels == ("",):
        raise ValueError(f"{rule} Received: path={str(path)!r} (empty)")
    if "" in labels:
        raise ValueError(f"{rule} Received: path={str(path)!r} (line {labels.index('') + 1} is blank)")
    try:
        check_labels(labels)
    except ValueError as error:
        raise ValueError(f"{rule} Received: path={str(path)!r} ({error})") from error
    return labels


def labels_of(model: "keras.Model") -> tuple[str, ...] | None:
    """The names of the classes that a Keras model carries in a `keras_cam.layers.ClassLabels` layer.

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
    from keras_cam.graph.keras_internals import all_layers
    from keras_cam.layers import ClassLabels

    found = {layer.labels for layer in all_layers(model) if isinstance(layer, ClassLabels)}
    return found.pop() if len(found) == 1 else None


def class_names(
    classes: int, asked: Sequence[str] | None = None, carried: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The names of all classes of a model: those asked for, else its own, else the usual ones.

    Args:
        classes: the number of classes.
        asked: the names that somebody gave, or None.
        carried: the names that the model carries, see `labels_of`, or None.

    Returns:
        One name a class. The usual names are ImageNet's for 1000 classes, else the numbers.

    Raises:
        ValueError: `classes` is not positive, or there is not one name of its own for each class.

    Examples:
        >>> class_names(2), class_names(2, carried=("cat", "dog"))
        (('class 0', 'class 1'), ('cat', 'dog'))
        >>> class_names(1000)[1]
        'goldfish'
    """
    if classes < 1:
        raise ValueError(f"`classes` must be at least 1. Received: classes={classes!r}")
    names = asked or carried
    if names is None:
        is_imagenet = classes == len(imagenet_labels())
        return imagenet_labels() if is_imagenet else tuple(f"class {index}" for index in range(classes))
    check_labels(names)
    if len(names) != classes:
        raise ValueError(
            f"`labels` must name the {classes} classes of the model. Received: {len(names)} names"
        )
    return tuple(names)


def labels_in_file(path: str | Path, labels: Sequence[str] | None, classes: int) -> tuple[str, ...] | None:
    """The names that the file of a model carries, checked.

    Args:
        path: the file, for the error.
        labels: the names in it; None if there are none.
        classes: the number of classes of the model.

    Raises:
        ValueError: there is not one name for each class, each of its own and of one line.
    """
    if labels is None:
        return None
    try:
        return class_names(classes, carried=labels)
    except ValueError as error:
        raise ValueError(f"{path} has names of classes that do not fit. {error}") from error
