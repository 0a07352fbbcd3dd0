"""A client for localizers in TensorFlow Serving, over gRPC or REST."""

import base64
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from itertools import chain, islice, repeat
from pathlib import Path
from random import uniform
from time import monotonic, sleep
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
from PIL import Image

from keras_cam.images.files import ImageError, read_image, upright_size_wh
from keras_cam.inference.checked_outputs import checked_outputs
from keras_cam.inference.http_exchange import Answer, UnreachableError, http_exchange
from keras_cam.inference.records import FailedImage, Localization, localizations
from keras_cam.models.labels import class_names
from keras_cam.plain_text import plain_text

SIGNATURE = "localize_bytes"

# gRPC does not take more attempts than these. Between them waits a random time of up to 0.2, 0.4, 0.8 and
# 1.6 seconds, with either protocol.
_ATTEMPTS, _FIRST_WAIT, _LONGEST_WAIT = 5, 0.2, 5.0

MAX_ANSWER_BYTES = 64 * 2**20
"""An answer of a server with more bytes is an error."""

# The number of classes for which names are made because a server says that it has them.
_MOST_CLASSES = 1_000_000

_LONGEST_REASON = 300


class ServingError(RuntimeError):
    """A request to a server failed; the message is one short line with the reason."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"The server at {address} {plain_text(' '.join(reason.split()), _LONGEST_REASON)}")


class ServingClient:
    """Localizes photos on a server that serves a model from `keras_cam.export.save_saved_model`.

    A request to a server that is busy or not yet reachable is repeated up to four times. What a server
    answers is not trusted: at most `MAX_ANSWER_BYTES` are read, and numbers that no localizer gives are an
    error. REST goes to the server directly: proxies of the environment are not asked, redirects not followed.

    Args:
        address: host and port, such as "localhost:8500" for gRPC, or "localhost:8501" for REST.
        model: the name of the model on the server.
        protocol: "grpc", which needs `keras-cam[serving]`; or "rest".
        version: the version of the model; None takes the newest.
        labels: the names of all classes; None takes ImageNet's for 1000 classes, else numbers, because
            servers do not report the names.
        timeout: the limit of a request in seconds, including all repetitions and all of the answer.
        channels: 3 for a model of RGB images; 1 for one of grey images, to which grey files of 8 and 16 bits
            go with their own values.

    Raises:
        ValueError: an unknown protocol, `timeout` is not positive, or `channels` is neither 1 nor 3.
        ModuleNotFoundError: a package that the protocol needs is not installed.

    Reference:
        https://www.tensorflow.org/tfx/serving/api_rest and its `prediction_service.proto`.
    """

    def __init__(
        self,
        address: str,
        model: str = "cam",
        *,
        protocol: str = "grpc",
        version: int | None = None,
        labels: Sequence[str] | None = None,
        timeout: float = 30.0,
        channels: int = 3,
    ) -> None:
        if protocol not in _PROTOCOLS:
            raise ValueError(f"`protocol` must be one of {list(_PROTOCOLS)}. Received: protocol={protocol!r}")
        if not 0 < timeout < math.inf:
            raise ValueError(f"`timeout` must be a positive number of seconds. Received: timeout={timeout!r}")
        if channels not in (1, 3):
            raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels!r}")
        self.model, self._address, self._channels = model, address, channels
        self._server: _Server = _PROTOCOLS[protocol](address, model, version, timeout)
        self._labels = labels

    def localize(
        self, images: str | Path | np.ndarray | Iterable[str | Path | np.ndarray], batch_size: int = 8
    ) -> Iterator[Localization | FailedImage]:
        """Localize photos on the server, one batch at a time, as `keras_cam.localize_files` does locally.

        JPEG files are sent unchanged, others as PNG. A photo that cannot be read does not end the batch.

        Args:
            images: a file or an array uint8 (H, W, 3), RGB; or several of them. For a model of grey images:
                an array of uint8 or uint16, (H, W) or (H, W, 1).
            batch_size: the number of photos in a request.

        Yields:
            For each photo, in order, its record or its error. An array is named by its number.

        Raises:
            ServingError: the server cannot be reached, is too slow, does not serve such a model, or answers
                with what is no localization.
            ValueError: an array of another shape or type, or `batch_size` is not positive.
        """
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size!r}")
        named = (
            (f"image {number}" if isinstance(image, np.ndarray) else str(image), image)
            for number, image in enumerate(_several(images))
        )
        while batch := list(islice(named, batch_size)):
            yield from self._localize(batch)

    def _localize(self, batch: Sequence[tuple[str, Any]]) -> Iterator[Localization | FailedImage]:
        failures: dict[int, str] = {}
        sent: list[tuple[str, bytes, tuple[int, int]]] = []
        for position, (name, image) in enumerate(batch):
            try:
                sent.append((name, *_encoded(image, self._channels)))
            except ImageError as error:
                failures[position] = str(error)
        records = iter(self._records(sent) if sent else ())
        for position, (name, _) in enumerate(batch):
            yield FailedImage(name, failures[position]) if position in failures else next(records)

    def _records(
        self, sent: Sequence[tuple[str, bytes, tuple[int, int]]]
    ) -> list[Localization | FailedImage]:
        names, contents, sizes_wh = zip(*sent, strict=True)
        with self._understood():
            answer = self._server.predict(contents)
            if self._labels is None:
                self._labels = _names(self._server.classes())
            outputs = checked_outputs(answer, len(sent), len(self._labels))
            found = localizations(outputs, names, sizes_wh, self._labels, self.model)
        records: list[Localization | FailedImage] = []
        for record, scores in zip(found, outputs["detection_scores"], strict=True):
            # Probabilities are never all zero but in the row of a photo that could not be decoded.
            error = str(ImageError(record.image, "the server cannot decode it"))
            records.append(record if np.any(scores) else FailedImage(record.image, error))
        return records

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn whatever an answer of another form leads to into a `ServingError`."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
            raise ServingError(self._address, f"answers with what is no localization ({reason})") from error


class _Server(Protocol):
    """One way to ask a server."""

    def predict(self, contents: Sequence[bytes]) -> dict[str, np.ndarray]:
        """What the signature `localize_bytes` gives for encoded images."""

    def classes(self) -> int:
        """How many classes the model tells apart."""


class _GrpcServer:
    def __init__(self, address: str, model: str, version: int | None, timeout: float) -> None:
        try:
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "gRPC needs the package tensorflow-serving-api: pip install keras-cam[serving]"
            ) from error
        retries = {
            "maxAttempts": _ATTEMPTS,
            "initialBackoff": f"{_FIRST_WAIT}s",
            "maxBackoff": f"{_LONGEST_WAIT}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        service = {"name": [{"service": "tensorflow.serving.PredictionService"}], "retryPolicy": retries}
        options = {
            "grpc.service_config": json.dumps({"methodConfig": [service]}),
            "grpc.max_send_message_length": -1,
            "grpc.max_receive_message_length": MAX_ANSWER_BYTES,
        }
        channel = grpc.insecure_channel(address, list(options.items()))
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._address, self._model, self._version, self._timeout = address, model, version, timeout

    def predict(self, contents: Sequence[bytes]) -> dict[str, np.ndarray]:
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        self._name_model(request.model_spec)
        request.model_spec.signature_name = SIGNATURE
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(list(contents), tf.string))
        outputs = self._ask(self._stub.Predict, request).outputs
        return {name: _array(tensor) for name, tensor in outputs.items()}

    def classes(self) -> int:
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name_model(request.model_spec)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        self._ask(self._stub.GetModelMetadata, request).metadata["signature_def"].Unpack(signatures)
        return signatures.signature_def["classify"].outputs["logits"].tensor_shape.dim[-1].size

    def _name_model(self, model_spec: Any) -> None:
        model_spec.name = self._model
        if self._version is not None:
            model_spec.version.value = self._version

    def _ask(self, method: Any, request: Any) -> Any:
        import grpc

        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            reasons = {
                grpc.StatusCode.UNAVAILABLE: f"cannot be reached ({details})",
                grpc.StatusCode.DEADLINE_EXCEEDED: f"did not answer within {self._timeout:g} s",
            }
            raise ServingError(self._address, reasons.get(code, f"refused: {details}")) from error


class _RestServer:
    def __init__(self, address: str, model: str, version: int | None, timeout: float) -> None:
        versions = "" if version is None else f"/versions/{version}"
        self._url = f"http://{address}/v1/models/{quote(model)}{versions}"
        self._address, self._timeout = address, timeout

    def predict(self, contents: Sequence[bytes]) -> dict[str, Any]:
        encoded = [{"image_bytes": {"b64": base64.b64encode(one).decode()}} for one in contents]
        body = {"signature_name": SIGNATURE, "instances": encoded}
        rows = self._ask("POST", f"{self._url}:predict", json.dumps(body).encode())["predictions"]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def classes(self) -> int:
        metadata = self._ask("GET", f"{self._url}/metadata")["metadata"]["signature_def"]["signature_def"]
        return int(metadata["classify"]["outputs"]["logits"]["tensor_shape"]["dim"][-1]["size"])

    def _ask(self, method: str, url: str, content: bytes | None = None) -> Any:
        try:
            answer = _repeated(method, url, content, monotonic() + self._timeout)
        except TimeoutError as error:
            raise ServingError(self._address, f"did not answer within {self._timeout:g} s") from error
        except (OSError, HTTPException) as error:
            raise ServingError(
                self._address, f"cannot be reached ({error or type(error).__name__})"
            ) from error
        if answer.status != 200:
            text = answer.content[: 4 * _LONGEST_REASON].decode(errors="replace")
            raise ServingError(self._address, f"refused: {answer.status} {text}")
        return json.loads(answer.content)


def _repeated(method: str, url: str, content: bytes | None, deadline: float) -> Answer:
    """Send a request again, after a pause, while there is no connection or the server is busy."""
    longest = (min(_FIRST_WAIT * 2**number, _LONGEST_WAIT) for number in range(_ATTEMPTS - 1))
    pauses = chain(map(uniform, repeat(0.0), longest), [math.inf])
    while True:
        pause = next(pauses)
        try:
            answer = http_exchange(method, url, content, deadline, MAX_ANSWER_BYTES)
        except UnreachableError:
            if monotonic() + pause >= deadline:
                raise
        else:
            pause = max(pause, answer.retry_after)
            if answer.status != 503 or monotonic() + pause >= deadline:
                return answer
        sleep(pause)


_PROTOCOLS: dict[str, type[_GrpcServer] | type[_RestServer]] = {"grpc": _GrpcServer, "rest": _RestServer}


def _several(images: Any) -> Iterable[Any]:
    """A single image as a list of one; others as they are."""
    is_single = isinstance(images, str | Path) or (isinstance(images, np.ndarray) and images.ndim < 4)
    return [images] if is_single else images


def _names(classes: int) -> Sequence[str]:
    if classes > _MOST_CLASSES:
        raise ValueError(f"a model of {classes} classes")
    return class_names(classes)


def _array(tensor: Any) -> np.ndarray:
    """The array in a message, which may claim a shape for which it has no values."""
    import tensorflow as tf

    sizes = [dimension.size for dimension in tensor.tensor_shape.dim]
    if min(sizes, default=0) < 0 or 4 * math.prod(sizes) > MAX_ANSWER_BYTES:
        raise ValueError(f"an array of shape {tuple(sizes)}")
    return tf.make_ndarray(tensor)


def _encoded(image: str | Path | np.ndarray, channels: int) -> tuple[bytes, tuple[int, int]]:
    """An image as the server decodes it, and its width and height.

    Raises:
        ImageError: if it cannot be read, or PNG cannot hold its values.
    """
    if not isinstance(image, np.ndarray):
        jpeg = _jpeg(Path(image))
        if jpeg is not None:
            return jpeg
        pixels = read_image(image, channels)
        if pixels.dtype not in (np.uint8, np.uint16):
            raise ImageError(image, f"values of {pixels.dtype}, which PNG cannot hold")
        image = pixels
    if channels == 1:
        image = image[..., None] if image.ndim == 2 else image
    types = (np.uint8, np.uint16)[: 2 if channels == 1 else 1]
    if image.ndim != 3 or image.shape[-1] != channels or image.dtype not in types:
        names = " or ".join(one.__name__ for one in types)
        raise ValueError(f"Arrays must be {names} (H, W, {channels}). Received: {image.dtype} {image.shape}")
    content = io.BytesIO()
    Image.fromarray(image if channels == 3 else image[..., 0]).save(content, "PNG")
    height, width, _ = image.shape
    return content.getvalue(), (width, height)


def _jpeg(path: Path) -> tuple[bytes, tuple[int, int]] | None:
    """The content of a file, and the size of the upright image, if it is a JPEG that any server decodes."""
    try:
        with Image.open(path) as image:
            if image.format != "JPEG" or image.mode not in ("RGB", "L"):
                return None
            size_wh = upright_size_wh(image)
        return path.read_bytes(), size_wh
    except (OSError, ValueError, SyntaxError):
        return None  # what is wrong with it `read_image` says best
