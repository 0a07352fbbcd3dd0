"""Warm-up requests, which TensorFlow Serving runs when it loads a version of a model.

Uses TensorFlow directly for TFRecord files and tensor protos.
"""

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from keras_cam.export.signatures import Signatures


def write_warm_up(signatures: Signatures, folder: Path) -> Path:
    """Write a request for each signature to the folder `assets.extra` of a SavedModel.

    Args:
        signatures: the signatures of the SavedModel.
        folder: the folder of the SavedModel.

    Returns:
        The file, a TFRecord file of TensorFlow Serving's message `PredictionLog`.

    Reference:
        https://www.tensorflow.org/tfx/serving/saved_model_warmup
    """
    pixels = signatures.localizer.inputs[0]
    images = tf.make_tensor_proto(0, pixels.dtype, (1, *signatures.size_hw, pixels.shape[-1]))
    photo = tf.io.encode_png(tf.zeros((*signatures.size_hw, 3), tf.uint8)).numpy()
    inputs = {
        "images": images,
        "image_bytes": tf.make_tensor_proto([photo]),
        "class_ids": tf.make_tensor_proto([[0]], tf.int32),
    }
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for name, function in signatures.functions.items():
            tensors = {spec.name: inputs[spec.name].SerializeToString() for spec in function.input_signature}
            writer.write(_prediction_log(name, tensors))
    return file


def _prediction_log(signature: str, tensors: Mapping[str, bytes]) -> bytes:
    """A `PredictionLog` with a request, as bytes.

    All of its fields are length-delimited, so they can be written without the message's class, which would
    need the package tensorflow-serving-api.
    """
    model = _field(3, signature.encode())  # ModelSpec.signature_name; the server knows the model's name
    request = _field(1, model)  # PredictRequest.model_spec
    for name, tensor in tensors.items():
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # PredictRequest.inputs, a map
    return _field(6, _field(1, request))  # PredictionLog.predict_log, PredictLog.request


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited protocol buffer field: its number with wire type 2, its length, its payload."""
    length, size = bytearray(), len(payload)
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + payload
