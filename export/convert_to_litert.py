"""Functions as a LiteRT model.

TensorFlow itself is used here for its converter.
"""

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


def convert_to_litert(functions: Mapping[str, Any], variables: Sequence[Any]) -> bytes:
    """Convert functions into one LiteRT model with a signature each, whose weights they share.

    Only LiteRT's own operations are used, so that it runs without TensorFlow.

    Args:
        functions: by name, `tf.function`s with an input signature of fixed shapes, which return dicts.
        variables: the Keras variables that they read.

    Returns:
        The model, in 32-bit floats.

    Raises:
        ValueError: a function has operations that LiteRT lacks; they are named.

    Examples:
        >>> @tf.function(input_signature=[tf.TensorSpec((1, 2), name="x")])
        ... def double(x):
        ...     return {"y": 2 * x}
        >>> convert_to_litert({"double": double}, [])[4:8]
        b'TFL3'
    """
    model = tf.Module()
    # The values of variables that are not tracked would be missing in the model, without a word.
    model.tracked = [variable.value for variable in variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder, signatures=dict(functions))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return converter.convert()
        except Exception as error:  # the converter has no public class for its errors
            raise ValueError(
                f"The model must consist of operations that LiteRT has (TFLITE_BUILTINS). Received: {error}"
            ) from error
