"""Conversion of functions to a LiteRT model.

Uses TensorFlow directly for its converter.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf


def convert_to_litert(
    functions: Mapping[str, Any], variables: Sequence[Any], without_rule: Iterable[str] = ()
) -> bytes:
    """Convert functions to one LiteRT model, with a signature for each and shared weights.

    The model has only LiteRT's builtin operations, so that it runs without TensorFlow.

    Args:
        functions: by name, `tf.function`s with an input signature of fixed shapes; they return dicts.
        variables: the Keras variables that the functions read.
        without_rule: the names of layers whose gradients only TensorFlow itself can compute, for the message.

    Returns:
        The model, in float32.

    Raises:
        ValueError: a function has operations that LiteRT does not support; the message names them.

    Examples:
        >>> @tf.function(input_signature=[tf.TensorSpec((1, 2), name="x")])
        ... def double(x):
        ...     return {"y": 2 * x}
        >>> convert_to_litert({"double": double}, [])[4:8]
        b'TFL3'
    """
    model = tf.Module()
    # Without tracking, the values of the variables would silently be missing from the model.
    model.tracked = [variable.value for variable in variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder, signatures=dict(functions))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return converter.convert()
        except Exception as error:  # the converter has no public class for its errors
            layers = sorted(without_rule)
            reason = f"a head with layers whose gradients only TensorFlow has, {layers}: " if layers else ""
            raise ValueError(
                "The model must consist of LiteRT's builtin operations (TFLITE_BUILTINS). "
                f"Received: {reason}{error}"
            ) from error
