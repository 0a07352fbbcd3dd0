"""Metrics whose states can be added."""

from collections.abc import Iterable
from typing import Any

import keras


class Mergeable(keras.metrics.Metric):
    """A metric whose state consists of sums, so that parts of a data set can be evaluated separately.

    Examples:
        >>> from keras_cam.metrics import GTKnownLocalization
        >>> one, other = GTKnownLocalization(), GTKnownLocalization()
        >>> one.update_state([[[0, 0, 10, 10]]], [[0, 0, 10, 10]])
        >>> other.update_state([[[0, 0, 10, 10]]], [[0, 0, 1, 1]])
        >>> one.merge_state([other])
        >>> float(one.result())
        0.5
    """

    def merge_state(self, metrics: Iterable[Any]) -> None:
        """Add the state of other metrics of the same class and configuration to this one.

        Raises:
            ValueError: a metric has another class or configuration.
        """
        metrics = list(metrics)
        for metric in metrics:
            if type(metric) is not type(self) or _what(metric) != _what(self):
                raise ValueError(
                    "Only metrics of the same class and configuration can be merged: "
                    f"{type(self).__name__} {_what(self)}. Received: {type(metric).__name__} {_what(metric)}"
                )
        for metric in metrics:
            for mine, other in zip(self.variables, metric.variables, strict=True):
                mine.assign_add(other)


def _what(metric: keras.metrics.Metric) -> dict[str, Any]:
    return {key: value for key, value in metric.get_config().items() if key != "name"}
