"""Accuracy of each class and confusions between classes, as Markdown tables for a model card."""

from collections.abc import Sequence

import numpy as np

from keras_cam.training.markdown import markdown_text

_WHOLE_UP_TO = 20
_ROWS = 10


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often images of each class are classified as each class.

    Args:
        labels: int (images,), the true classes.
        predicted: int (images,), the predicted classes; images with a negative one are left out.
        classes: the number of classes.

    Returns:
        int64 (classes, classes): the rows are the true classes, the columns the predicted ones.

    Examples:
        >>> confusion_matrix(np.array([0, 0, 1, 1]), np.array([0, 1, 1, -1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    counts = np.zeros((classes, classes), np.int64)
    judged = predicted >= 0
    np.add.at(counts, (labels[judged], predicted[judged]), 1)
    return counts


def class_report(confusion: np.ndarray, labels: Sequence[str]) -> str:
    """Tables of a confusion matrix.

    Up to 20 classes, the accuracy of each class and the whole matrix; with more, the 10 classes with the
    lowest accuracy and the 10 most frequent confusions.

    Args:
        confusion: int (classes, classes), the rows are the true classes.
        labels: the names of the classes.

    Examples:
        >>> print(class_report(np.array([[3, 1], [0, 2]]), ("cat", "dog")))
        | class | images | accuracy |
        | --- | --- | --- |
        | cat | 4 | 75.0 % |
        | dog | 2 | 100.0 % |
        <BLANKLINE>
        Rows are true classes, columns are predicted classes:
        <BLANKLINE>
        |  | cat | dog |
        | --- | --- | --- |
        | cat | 3 | 1 |
        | dog | 0 | 2 |
    """
    labels = [markdown_text(label) for label in labels]
    if len(labels) <= _WHOLE_UP_TO:
        rows = [(label, *map(str, row)) for label, row in zip(labels, confusion.tolist(), strict=True)]
        title, matrix = "Rows are true classes, columns are predicted classes:", _table(("", *labels), rows)
    else:
        title, matrix = "The most frequent confusions:", _most_frequent(confusion, labels)
    return "\n\n".join([_accuracies(confusion, labels), title, matrix])


def _accuracies(confusion: np.ndarray, labels: Sequence[str]) -> str:
    images, right = confusion.sum(axis=1), np.diag(confusion)
    shown = np.flatnonzero(images)
    if len(labels) > _WHOLE_UP_TO:
        shown = shown[np.argsort(right[shown] / images[shown], kind="stable")][:_ROWS]
    rows = [(labels[at], str(images[at]), f"{100 * right[at] / images[at]:.1f} %") for at in map(int, shown)]
    return _table(("class", "images", "accuracy"), rows)


def _most_frequent(confusion: np.ndarray, labels: Sequence[str]) -> str:
    wrong = confusion - np.diag(np.diag(confusion))
    places = np.argsort(-wrong, axis=None, kind="stable")[:_ROWS]
    pairs = [divmod(int(place), len(labels)) for place in places]
    rows = [
        (labels[true], labels[found], str(wrong[true, found])) for true, found in pairs if wrong[true, found]
    ]
    return _table(("true class", "predicted class", "images"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
