"""The check that figures, maps and weights are numbers: NaN and infinity make plausible boxes and figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class NotFiniteError(ValueError):
    """Weights or outputs of a model are NaN or infinite; the message is one line that names them."""


def check_finite(arrays: Mapping[str, Any], what: str = "outputs") -> None:
    """Raise a `NotFiniteError` that names the first of several arrays with a value that is NaN or infinite.

    Args:
        arrays: anything that NumPy takes, by name. Integers and text are always right.
        what: "outputs" or "weights" of the model.

    Examples:
        >>> check_finite({"logits": [1.0, 2.0], "detection_scores": [[0.5, float("nan")]]})
        Traceback (most recent call last):
        ...
        keras_cam.check_finite.NotFiniteError: The outputs of the model must be finite. Received: \
detection_scores, with 1 of 2 values NaN or infinite
    """
    for name, values in arrays.items():
        array = np.asarray(values)
        if array.dtype.kind in "OSU":
            continue
        wrong = array.size - int(np.count_nonzero(np.isfinite(array)))
        if wrong:
            raise NotFiniteError(
                f"The {what} of the model must be finite. "
                f"Received: {name}, with {wrong} of {array.size} values NaN or infinite"
            )
