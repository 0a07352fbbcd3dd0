"""The client of TensorFlow Serving, against servers that answer anything: a short error, in time."""

import copy
import itertools
import json
import re
import socket
import threading
import time
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from grpc_servers import grpc_server
from keras_cam.inference import ServingClient, ServingError, serving

PHOTO = np.zeros((4, 6, 3), np.uint8)
LABELS = ("red", "green", "blue")
GOOD = {
    "detection_boxes": [[[0.0, 0.25, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]]],
    "detection_classes": [[2, 0]],
    "detection_scores": [[0.75, 0.25]],
    "num_detections": [1],
    "class_activation_maps": [[[[0.0, 1.0]], [[0.0, 0.0]]]],
}


def changed(name, *path_and_value):
    """GOOD with one value of the output `name` replaced."""
    *path, value = path_and_value
    outputs = copy.deepcopy(GOOD)
    place = outputs
    for key in (name, *path)[:-1]:
        place = place[key]
    place[(name, *path)[-1]] = value
    return outputs


WRONG = {
    "class 999": (changed("detection_classes", 0, 0, 999), r"`detection_classes` must be in 0\.\.2"),
    "class -1": (changed("detection_classes", 0, 0, -1), r"`detection_classes` must be in 0\.\.2"),
    "half a class": (changed("detection_classes", [[0.5, 1.0]]), "`detection_classes` must be integers"),
    "NaN boxes": (changed("detection_boxes", 0, 0, 0, float("nan")), "not finite"),
    "infinite maps": (changed("class_activation_maps", 0, 0, 0, 0, float("inf")), "not finite"),
    "swapped box": (changed("detection_boxes", 0, 0, [0.5, 0.25, 0.0, 1.0]), "swapped sides"),
    "box in pixels": (
        changed("detection_boxes", 0, 0, [0, 25, 50, 100]),
        r"`detection_boxes` must be in 0\.\.1",
    ),
    "score 7": (changed("detection_scores", 0, 0, 7.0), r"`detection_scores` must be in 0\.\.1"),
    "3 of 2 rows": (changed("num_detections", [3]), r"`num_detections` must be in 0\.\.2"),
    "strings": (changed("detection_scores", [["high", "low"]]), "`detection_scores` must be numbers"),
    "fewer classes": (changed("detection_classes", [[2]]), r"shape \(1, 2\)\. Received: .*\(1, 1\)"),
    "flat boxes": (changed("detection_boxes", [[1, 2]]), r"shape \(1, K, 4\)"),
    "no maps": ({key: GOOD[key] for key in list(GOOD)[:-1]}, "Received: nothing of that name"),
    "two photos": ({key: value * 2 for key, value in GOOD.items()}, r"\(1, K, 4\)\. Received: .*\(2, 2, 4\)"),
    "nothing": ({}, ""),
}


def predictions(outputs):
    rows = max((len(value) for value in outputs.values()), default=1)
    return json.dumps({"predictions": [{k: v[row] for k, v in outputs.items()} for row in range(rows)]})


def answer(content, status="200 OK", headers=""):
    content = content.encode() if isinstance(content, str) else content
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content


@pytest.fixture
def rest():
    """`rest(chunks)`: the address of a server that answers each request with these bytes, `pause` apart."""
    stop, servers = threading.Event(), []

    def serve(server, chunks, pause):
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                received = b""
                while b"\r\n\r\n" not in received:
                    received += connection.recv(65536)
                try:
                    for chunk in chunks:
                        connection.sendall(chunk)
                        if stop.wait(pause):
                            return
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    continue

    def start(chunks, pause=0.0):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        chunks = [chunks] if isinstance(chunks, bytes) else chunks
        threading.Thread(target=serve, args=(server, chunks, pause), daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield start
    stop.set()
    for server in servers:
        server.close()


def refused(address, protocol="rest", labels=LABELS, timeout=5.0):
    """The message of the error with which a request ends."""
    client = ServingClient(address, protocol=protocol, labels=labels, timeout=timeout)
    started = time.monotonic()
    with pytest.raises(ServingError) as caught:
        list(client.localize(PHOTO))
    assert time.monotonic() - started < timeout + 1
    message = str(caught.value)
    assert message.startswith(f"The server at {address} ")
    assert len(message) < 400
    assert message.isprintable()
    return message


def test_numbers_beyond_32_bits_are_an_error_of_the_server(rest):
    maps = [[[[1e300, 1.0]], [[0.0, 0.0]]]]
    message = refused(rest(answer(predictions({**GOOD, "class_activation_maps": maps}))))
    assert "answers with what is no localization" in message


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
def test_an_array_of_grey_values_is_one_photo(rest, shape):
    address = rest(answer(predictions(GOOD)))
    client = ServingClient(address, protocol="rest", labels=LABELS, channels=1)
    [record] = client.localize(np.zeros(shape, np.uint16))
    assert (record.image, record.width, record.height) == ("image 0", 6, 4)


def test_a_good_answer_is_a_record(rest):
    [record] = ServingClient(rest(answer(predictions(GOOD))), protocol="rest", labels=LABELS).localize(PHOTO)
    blue, red = record.detections
    assert (blue.label, blue.box_xyxy, red.label, red.box_xyxy) == ("blue", (1.5, 0.0, 6.0, 2.0), "red", None)


@pytest.mark.parametrize(("outputs", "reason"), WRONG.values(), ids=WRONG)
def test_numbers_that_no_localizer_gives_are_refused(rest, outputs, reason):
    message = refused(rest(answer(predictions(outputs))))
    assert re.search(rf"answers with what is no localization \(.*{reason}", message), message


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ODD = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 4,
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "HTML": answer("<html><body>Welcome</body></html>"),
    "an empty body": answer(""),
    "a list": answer("[]"),
    "null": answer("null"),
    "no predictions": answer("{}"),
    "predictions of numbers": answer('{"predictions": [1]}'),
    "no rows": answer('{"predictions": []}'),
    "predictions null": answer('{"predictions": null}'),
    "ragged rows": answer(json.dumps({"predictions": [{"detection_boxes": [[1], [1, 2]]}]})),
    "deep": answer("[" * 100_000),
    "a long number": answer('{"predictions": ' + "1" * 5000 + "}"),
    "bytes that are no text": answer(b'{"predictions": "\xff\xfe"}'),
    "compressed": answer(b"\x1f\x8b\x08\x00", headers="Content-Encoding: gzip\r\n"),
    "cut": answer(predictions(GOOD))[:-30],
    "a broken chunk": CHUNKED + b"zz\r\n",
    "a redirect": answer("", "302 Found", "Location: http://127.0.0.1:9/\r\n"),
    "an error of 10 kB": answer("<p>\x1b[2J" + "word " * 2000, "500 Internal Server Error"),
    "an error in one word": answer("x" * 10_000, "500 Internal Server Error"),
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_whatever_a_server_sends_is_an_error_of_one_line(rest, content):
    refused(rest(content))


BEGINNINGS = {
    "before the status": b"",
    "in a header": b"HTTP/1.1 200 OK\r\nX: ",
    "in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n[",
    "without a length": b"HTTP/1.1 200 OK\r\n\r\n[",
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_server_that_drips_is_given_up_in_time(rest, beginning):
    drip = itertools.chain([beginning], itertools.repeat(b"1"))
    assert "did not answer within 0.4 s" in refused(rest(drip, pause=0.05), timeout=0.4)


def test_a_busy_server_that_asks_for_a_long_pause_is_given_up_in_time(rest):
    busy = answer("busy", "503 Service Unavailable", "Retry-After: 25\r\n")
    assert "refused: 503 busy" in refused(rest(busy), timeout=1.0)


@pytest.mark.parametrize("declared", [True, False])
def test_a_large_answer_is_refused_within_the_limit_of_bytes(rest, monkeypatch, declared):
    monkeypatch.setattr(serving, "MAX_ANSWER_BYTES", 10**6)
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 400000000\r\n" if declared else b"") + b"\r\n"
    chunks = itertools.chain([head], itertools.repeat(b"1" * 10**6, 400))
    tracemalloc.start()
    assert "more than 1,000,000 bytes" in refused(rest(chunks))
    assert tracemalloc.get_traced_memory()[1] < 10 * 10**6
    tracemalloc.stop()


METADATA = {
    "no classes": {},
    "classes below": {"size": "-1"},
    "no number": {"size": "many"},
    "too many": {"size": "1000000000000"},
}


@pytest.mark.parametrize("dim", METADATA.values(), ids=METADATA)
def test_a_number_of_classes_that_no_model_has_is_refused(rest, dim):
    shape = {"outputs": {"logits": {"tensor_shape": {"dim": [dim]}}}}
    metadata = {"metadata": {"signature_def": {"signature_def": {"classify": shape}}}}
    both = json.dumps({**json.loads(predictions(GOOD)), **metadata})
    assert "no localization" in refused(rest(answer(both)), labels=None)


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers with the protos that it is given."""

    outputs: dict = {}
    delay = 0.0

    def Predict(self, request, context):  # noqa: N802
        time.sleep(self.delay)
        return predict_pb2.PredictResponse(outputs=self.outputs)

    def GetModelMetadata(self, request, context):  # noqa: N802
        return get_model_metadata_pb2.GetModelMetadataResponse()


@pytest.fixture(scope="module")
def service():
    return Service()


@pytest.fixture(scope="module")
def grpc_address(service):
    with grpc_server(service) as address:
        yield address


def protos(outputs):
    return {name: tf.make_tensor_proto(value) for name, value in outputs.items()}


@pytest.mark.parametrize(("outputs", "reason"), WRONG.values(), ids=WRONG)
def test_the_same_numbers_are_refused_over_grpc(service, grpc_address, outputs, reason):
    service.outputs = protos(outputs)
    assert re.search(rf"answers with what is no localization \(.*{reason}", refused(grpc_address, "grpc"))


def test_a_message_that_claims_a_huge_array_is_refused(service, grpc_address):
    service.outputs = protos(GOOD)
    for size in (2**40, -1):
        service.outputs["class_activation_maps"].tensor_shape.dim[0].size = size
        assert "an array of shape" in refused(grpc_address, "grpc")


def test_a_grpc_server_without_metadata_is_refused(service, grpc_address):
    service.outputs = protos(GOOD)
    assert "no localization" in refused(grpc_address, "grpc", labels=None)


def test_a_grpc_answer_that_is_too_large_is_refused(service, grpc_address, monkeypatch):
    monkeypatch.setattr(serving, "MAX_ANSWER_BYTES", 1000)
    service.outputs = protos(changed("class_activation_maps", np.zeros((1, 2, 50, 50), "float32")))
    assert "refused: " in refused(grpc_address, "grpc")


def test_what_speaks_no_grpc_is_an_error_in_time(rest):
    refused(rest(answer("Welcome")), "grpc", timeout=1.0)
    drip = itertools.repeat(b"1")
    refused(rest(drip, pause=0.05), "grpc", timeout=1.0)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(timeout):
    with pytest.raises(ValueError, match="`timeout` must be a positive number of seconds"):
        ServingClient("localhost:1", protocol="rest", timeout=timeout)
