"""Requests that TensorFlow Serving sends to a new version of a model before anybody else does.

TensorFlow itself is used here for its records and tensors.
"""

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from keras_cam.export.signatures import Signatures


def write_warm_up(signatures: Signatures, folder: Path) -> Path:
    """Write one request for each signature into a SavedModel's `assets.extra`.

    Args:
        signatures: what the SavedModel was made from.
        folder: the SavedModel.

    Returns:
        The file: records of TensorFlow Serving's message `PredictionLog`.

    Reference:
        https://www.tensorflow.org/tfx/serving/saved_model_warmup
    """
    images = tf.make_tensor_proto(0, signatures.localizer.inputs[0].dtype, (1, *signatures.size_hw, 3))
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

    All of its fields have a length, so nothing more than their numbers is needed to write one; the message's
    own class would need the package tensorflow-serving-api.
    """
    model = _field(3, signature.encode())  # ModelSpec.signature_name; the name is known to the server
    request = _field(1, model)  # PredictRequest.model_spec
    for name, tensor in tensors.items():
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # PredictRequest.inputs, a map
    return _field(6, _field(1, request))  # PredictionLog.predict_log, PredictLog.request


def _field(number: int, payload: bytes) -> bytes:
    """A field of a protocol buffer that has a length: its number and wire type 2, its length, itself."""
    length, size = bytearray(), len(payload)
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + payload
