"""A batch of no image, with which runtimes fail or even crash the process."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np


def any_number_of_images(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method of a localizer take no image: it computes a black one, and its rows are left out.

    Args:
        method: takes images (B, H, W, C), and arrays of B rows or single numbers; returns an array
            or a dict of arrays of B rows.

    Examples:
        >>> class Mean:
        ...     @any_number_of_images
        ...     def classify(self, images):
        ...         return {1: np.mean(images, axis=(1, 2))}[len(images)]
        >>> Mean().classify(np.zeros((0, 8, 8, 3))).shape
        (0, 3)
    """

    @wraps(method)
    def of_any_number(self: Any, images: Any, *others: Any, **options: Any) -> Any:
        if len(images):
            return method(self, images, *others, **options)
        outputs = method(
            self,
            _one_row(images),
            *map(_one_row, others),
            **{name: _one_row(value) for name, value in options.items()},
        )
        if isinstance(outputs, dict):
            return {name: rows[:0] for name, rows in outputs.items()}
        return outputs[:0]

    return of_any_number


def _one_row(values: Any) -> Any:
    array = np.asarray(values)
    return np.zeros((1, *array.shape[1:]), array.dtype) if array.ndim else values
