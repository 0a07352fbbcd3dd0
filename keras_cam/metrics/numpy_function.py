"""Run NumPy code on tensors, inside a traced function as well."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf  # keras.ops cannot call code on the host from a traced graph


def numpy_function(
    function: Callable[..., np.ndarray], inputs: Sequence[Any], shape: tuple[int | None, ...], dtype: str
) -> Any:
    """Call `function(*arrays)` on the inputs as NumPy arrays: now, or in a graph each time it runs.

    Args:
        function: returns one array of the given shape and dtype.
        inputs: tensors or arrays.
        shape: shape of the result, None where it is known only when the graph runs.
        dtype: dtype to which the result is cast.

    Returns:
        A tensor.

    Examples:
        >>> import numpy as np
        >>> numpy_function(np.median, [[1.0, 5.0, 9.0]], (), "float64").numpy()
        np.float64(5.0)
    """
    result = tf.numpy_function(
        lambda *arrays: np.asarray(function(*arrays), dtype), list(inputs), dtype, stateful=False
    )
    return tf.ensure_shape(result, shape)
