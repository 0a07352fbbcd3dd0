"""One-vs-all linear support vector machines on pooled features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_cam.applications.features.feature_table import FeatureTable

COSTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""The values of C that are tried. Features are standardized, so the same values suit any backbone."""


@dataclass(frozen=True, eq=False)
class LinearSvm:
    """A linear classifier of pooled features.

    Attributes:
        kernel: float32 (D, N).
        bias: float32 (N,). The margin of class c is `vector @ kernel[:, c] + bias[c]`.
        class_names: the names of the N classes.
        cost: the C that it was trained with.
        accuracies: the accuracy in cross-validation for each C, if several were tried.
    """

    kernel: np.ndarray
    bias: np.ndarray
    class_names: tuple[str, ...]
    cost: float
    accuracies: Mapping[float, float] = field(default_factory=dict)

    def margins(self, vectors: np.ndarray) -> np.ndarray:
        """The margins (M, N) of vectors (M, D)."""
        return vectors @ self.kernel + self.bias

    def accuracy(self, table: FeatureTable) -> float:
        """The fraction of images whose class has the highest margin."""
        return float(np.mean(self.margins(table.vectors).argmax(axis=1) == table.labels))


def fit_linear_svm(
    table: FeatureTable, costs: Sequence[float] = COSTS, folds: int = 5, seed: int = 0
) -> LinearSvm:
    """Train a one-vs-all linear SVM for each class, with LIBLINEAR.

    Features are standardized for training. The scale is folded into the weights afterwards, so the classifier
    is linear in the pooled features. Needs `pip install "keras-cam[discovery]"`.

    Args:
        table: the features and classes; at least two classes must have images.
        costs: values of C, from which cross-validation chooses. A single one is used without it.
        folds: int, the number of parts for cross-validation; at most the number of images of the rarest
            class.
        seed: int, the seed for dividing the images into parts.

    Returns:
        The classifier. The margin of a class without images is never the highest.

    Raises:
        ValueError: if fewer than two classes have images, `costs` is empty, or a class has only one image and
            there are several `costs`.

    Reference:
        Zhou et al., CVPR 2016, section 4.1. Fan et al., LIBLINEAR, JMLR 2008.

    Examples:
        >>> vectors = np.array([[0, 1], [0, 2], [3, 0], [2, 0]], "float32")
        >>> svm = fit_linear_svm(FeatureTable(tuple("abcd"), vectors, np.array([0, 0, 1, 1]), ("cat", "dog")))
        >>> svm.margins(np.array([[0, 5], [5, 0]])).argmax(axis=1).tolist()
        [0, 1]
    """
    try:
        from sklearn.model_selection import StratifiedKFold
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('LIBLINEAR is missing: pip install "keras-cam[discovery]"') from error

    present, counts = np.unique(table.labels, return_counts=True)
    if len(present) < 2 or not len(costs):
        raise ValueError(
            "There must be images of at least two classes and at least one of `costs`. "
            f"Received: images of {len(present)} classes, costs={tuple(costs)!r}"
        )
    accuracies = {}
    if len(costs) > 1:
        folds = min(folds, int(counts.min()))
        if folds < 2:
            [rarest] = present[counts.argmin()][None]
            raise ValueError(
                "With several `costs`, each class must have at least two images. "
                f"Received: one image of class {table.class_names[rarest]!r}"
            )
        splits = list(
            StratifiedKFold(folds, shuffle=True, random_state=seed).split(table.vectors, table.labels)
        )
        for cost in costs:
            right = [_fit(table.take(train), cost, seed).accuracy(table.take(test)) for train, test in splits]
            accuracies[cost] = float(np.mean(right))
    best = max(costs, key=lambda cost: accuracies.get(cost, 0.0))  # the first of equal ones: the smoothest
    svm = _fit(table, best, seed)
    return LinearSvm(svm.kernel, svm.bias, svm.class_names, best, accuracies)


def _fit(table: FeatureTable, cost: float, seed: int) -> LinearSvm:
    from sklearn.svm import LinearSVC

    mean, scale = table.vectors.mean(axis=0), table.vectors.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    solver = LinearSVC(C=cost, dual="auto", random_state=seed, max_iter=5000)
    solver.fit((table.vectors - mean) / scale, table.labels)
    weights, shift = solver.coef_.T, solver.intercept_
    if len(solver.classes_) == 2:  # a single machine separates two classes
        weights, shift = np.hstack([-weights, weights]), np.array([-shift[0], shift[0]])
    classes = len(table.class_names)
    kernel, bias = np.zeros((len(mean), classes)), np.full(classes, -1e3)
    kernel[:, solver.classes_] = weights / scale[:, None]
    bias[solver.classes_] = shift - (mean / scale) @ weights
    return LinearSvm(kernel.astype(np.float32), bias.astype(np.float32), table.class_names, cost)
