"""Linear classifiers on pooled features, trained and tested by the protocol of a benchmark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_cam.applications.features.benchmark_images import Attributes, BenchmarkImages, Split
from keras_cam.applications.features.feature_table import FeatureTable
from keras_cam.applications.features.linear_svm import COSTS, LinearSvm, fit_linear_svm


@dataclass(frozen=True)
class BenchmarkResult:
    """The figures of a network's features on a benchmark.

    Attributes:
        measure: "accuracy" for classes, "average precision" for attributes.
        names: the names of the N classes that have test images, or of the N attributes.
        by_class: float (runs, N).
        overall: float (runs,), the accuracy on all test images; None for attributes.
    """

    measure: str
    names: tuple[str, ...]
    by_class: np.ndarray
    overall: np.ndarray | None = None

    @property
    def runs(self) -> np.ndarray:
        """The mean over classes for each run: the figure that papers report."""
        return np.nanmean(self.by_class, axis=1)  # a class whose files are missing has no test image


def run_benchmark(
    data: BenchmarkImages,
    table: FeatureTable,
    costs: Sequence[float] = COSTS,
    on_fit: Callable[[], None] = lambda: None,
) -> BenchmarkResult:
    """Train and test linear SVMs on extracted features, in all runs of a benchmark.

    C is chosen by cross-validation on the training images of the first run and used in all runs.

    Args:
        data: see `keras_cam.applications.features.benchmarks.read_benchmark`.
        table: the features of `data.images`. Images without a row are left out.
        costs: values of C, see `fit_linear_svm`.
        on_fit: called after each classifier; `fits(data)` times in all.

    Returns:
        The figures of all runs.

    Raises:
        ValueError: see `fit_linear_svm`.

    Reference:
        Zhou et al., CVPR 2016, section 4, table 5.
    """
    if data.attributes is not None:
        return _tell_attributes(data, data.attributes, table, costs, on_fit)
    rows = {name: row for row, name in enumerate(table.names)}
    by_class, overall, tested = [], [], np.zeros(len(table.class_names), bool)
    for split in data.splits:
        train, test = _parts(table, split, rows)
        svm = fit_linear_svm(train, costs)
        costs = [svm.cost]
        right = svm.margins(test.vectors).argmax(axis=1) == test.labels
        counts = np.bincount(test.labels, minlength=len(tested))
        with np.errstate(invalid="ignore"):  # a class may have no test images
            by_class.append(np.bincount(test.labels, right, minlength=len(tested)) / counts)
        overall.append(right.mean())
        tested |= counts > 0
        on_fit()
    names = tuple(name for name, is_tested in zip(table.class_names, tested, strict=True) if is_tested)
    return BenchmarkResult("accuracy", names, np.array(by_class)[:, tested], np.array(overall))


def fits(data: BenchmarkImages) -> int:
    """The number of classifiers that a benchmark trains."""
    return data.benchmark.runs * (1 if data.attributes is None else len(data.attributes.names))


def _tell_attributes(
    data: BenchmarkImages,
    attributes: Attributes,
    table: FeatureTable,
    costs: Sequence[float],
    on_fit: Callable[[], None],
) -> BenchmarkResult:
    """Train and test a classifier of two classes for each attribute and run."""
    protocol, rows = data.benchmark, {name: row for row, name in enumerate(table.names)}
    precisions = np.zeros((protocol.runs, len(attributes.names)))
    for attribute in range(len(attributes.names)):
        chosen: Sequence[float] = costs
        for run in range(protocol.runs):
            split, positives = attributes.split(attribute, protocol.train, protocol.test or 0, seed=run)
            train, test = (_is_in(positives, part) for part in _parts(table, split, rows))
            svm = fit_linear_svm(train, chosen)
            chosen = [svm.cost]
            precisions[run, attribute] = _average_precision(svm, test)
            on_fit()
    return BenchmarkResult("average precision", attributes.names, precisions)


def _parts(table: FeatureTable, split: Split, rows: dict[str, int]) -> tuple[FeatureTable, FeatureTable]:
    """The rows for training and those for testing."""
    train, test = (
        table.take([rows[name] for name in part if name in rows]) for part in (split.train, split.test)
    )
    return train, test


def _is_in(positives: frozenset[str], table: FeatureTable) -> FeatureTable:
    labels = np.array([name in positives for name in table.names], np.int64)
    return FeatureTable(table.names, table.vectors, labels, ("without", "with"))


def _average_precision(svm: LinearSvm, table: FeatureTable) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(table.labels, svm.margins(table.vectors)[:, 1]))
