"""The client of TensorFlow Serving, against servers on loopback that run the real SavedModel.

They answer with the messages of TensorFlow Serving's own package, and in the JSON that its REST API has.
"""

import base64
import json
import runpy
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import pytest
import skimage
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from PIL import Image
from tensorflow.python.saved_model.loader_impl import parse_saved_model
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

import keras_cam
from grpc_servers import grpc_server
from keras_cam import load_localizer, localize_files
from keras_cam.export import save_saved_model
from keras_cam.images.files import read_image
from keras_cam.inference import ServingClient, ServingError
from keras_cam.inference.records import FailedImage, Localization
from keras_cam.models.labels import imagenet_labels

EXAMPLES = Path(__file__).parent.parent / "examples"
CAT, COFFEE = (f"{skimage.data_dir}/{name}.png" for name in ("chelsea", "coffee"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
    localizer = keras_cam.build_localizer(model, top_k=2)
    return save_saved_model(localizer, tmp_path_factory.mktemp("models") / "cam" / "1")


class Model:
    """A SavedModel, asked by names as TensorFlow Serving asks it."""

    def __init__(self, path):
        self.loaded = tf.saved_model.load(path)  # the signatures do not keep it
        self.batches = []

    def run(self, signature, inputs):
        self.batches.append(len(next(iter(inputs.values()))))
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        outputs = self.loaded.signatures[signature](**tensors)
        return {key: value.numpy() for key, value in outputs.items()}


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`busy`: how many requests it turns away before it answers. `delay`: seconds that an answer takes."""

    def __init__(self, path):
        self.model = Model(path)
        self.path = path
        self.busy, self.delay = 0, 0.0

    def Predict(self, request, context):  # noqa: N802
        if self.busy > 0:
            self.busy -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        time.sleep(self.delay)
        if request.model_spec.name not in ("", "cam"):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {request.model_spec.name}")
        if request.model_spec.version.value not in (0, 1):  # 0: none was asked for
            context.abort(grpc.StatusCode.NOT_FOUND, f"No version {request.model_spec.version.value}")
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, value in self.model.run(request.model_spec.signature_name, inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    def GetModelMetadata(self, request, context):  # noqa: N802
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(signatures_of(self.path))
        return response


def signatures_of(path):
    [meta_graph] = parse_saved_model(str(path)).meta_graphs
    return get_model_metadata_pb2.SignatureDefMap(signature_def=meta_graph.signature_def)


@pytest.fixture(scope="module")
def service(saved):
    return Service(saved)


@pytest.fixture(scope="module")
def grpc_address(service):
    with grpc_server(service) as address:
        yield address


@pytest.fixture(scope="module")
def rest_address(service):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if service.busy > 0:
                service.busy -= 1
                return self.answer(503, {"error": "busy"})
            if service.delay:
                return time.sleep(service.delay)  # nobody waits for the answer
            if self.path not in ("/v1/models/cam:predict", "/v1/models/cam/versions/1:predict"):
                return self.answer(404, {"error": f"Servable not found: {self.path}"})
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            encoded = [base64.b64decode(row["image_bytes"]["b64"]) for row in body["instances"]]
            outputs = service.model.run(body["signature_name"], {"image_bytes": encoded})
            rows = [
                {key: value[row].tolist() for key, value in outputs.items()} for row, _ in enumerate(encoded)
            ]
            return self.answer(200, {"predictions": rows})

        def do_GET(self):
            signatures = MessageToDict(signatures_of(service.path), preserving_proto_field_name=True)
            self.answer(200, {"metadata": {"signature_def": signatures}})

        def answer(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Stays silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["grpc", "rest"])
def protocol(request):
    return request.param


@pytest.fixture
def address(protocol, grpc_address, rest_address):
    return {"grpc": grpc_address, "rest": rest_address}[protocol]


def assert_same_records(found, expected):
    assert [type(record) for record in found] == [type(record) for record in expected]
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, FailedImage):
            assert one == other
            continue
        assert (one.image, one.width, one.height) == (other.image, other.width, other.height)
        for here, there in zip(one.detections, other.detections, strict=True):
            assert (here.class_id, here.label) == (there.class_id, there.label)
            assert here.score == pytest.approx(there.score, abs=1e-4)
            np.testing.assert_allclose(here.box_xyxy, there.box_xyxy, atol=0.1)
            np.testing.assert_allclose(here.activation_map, there.activation_map, atol=1e-2)


def test_records_are_those_of_the_local_localizer(saved, service, address, protocol, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # the top is at the right
    with Image.open(CAT) as image:
        image.convert("RGB").save(tmp_path / "turned.jpg", exif=turned)
        image.convert("CMYK").save(tmp_path / "print.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    files = [CAT, tmp_path / "broken.jpg", COFFEE, tmp_path / "turned.jpg", tmp_path / "print.jpg"]
    files = [str(file) for file in files]
    service.model.batches.clear()
    found = list(ServingClient(address, protocol=protocol).localize(files, batch_size=3))
    expected = list(localize_files(load_localizer(saved), files, imagenet_labels()))
    assert_same_records(found, expected)
    assert service.model.batches == [2, 2]  # the broken one is not sent
    [alone] = ServingClient(address, protocol=protocol).localize(CAT)
    assert_same_records([alone], expected[:1])
    [array] = ServingClient(address, protocol=protocol).localize(read_image(CAT))
    assert array.image == "image 0"
    assert_same_records([Localization(CAT, *list(vars(array).values())[1:])], expected[:1])


def test_a_photo_that_the_server_cannot_decode_fails_alone(address, protocol, tmp_path):
    photo = tmp_path / "cut.jpg"
    with Image.open(CAT) as image:
        image.convert("RGB").save(photo)
    photo.write_bytes(photo.read_bytes()[:2000])
    cut, cat = ServingClient(address, protocol=protocol).localize([photo, CAT])
    assert cut == FailedImage(str(photo), f"Cannot read {photo}: the server cannot decode it")
    assert cat.detections[0].label == "Egyptian cat"


def test_a_busy_server_is_asked_again(service, address, protocol):
    service.busy = 2
    [record] = ServingClient(address, protocol=protocol).localize([CAT])
    assert service.busy == 0
    assert record.detections[0].label == "Egyptian cat"


def test_a_server_that_is_slow_is_asked_once_and_named(service, address, protocol, monkeypatch):
    monkeypatch.setattr(service, "delay", 1.5)
    client = ServingClient(address, protocol=protocol, timeout=0.5)
    with pytest.raises(ServingError, match=rf"The server at {address} did not answer within 0\.5 s"):
        list(client.localize([CAT]))


def test_a_server_that_is_not_there_is_named(protocol):
    client = ServingClient("127.0.0.1:9", protocol=protocol, timeout=2)
    with pytest.raises(ServingError, match=r"The server at 127.0.0.1:9 (cannot be reached|did not answer)"):
        list(client.localize([CAT]))


def test_a_model_that_is_not_served_is_named(address, protocol):
    client = ServingClient(address, "dogs", protocol=protocol)
    with pytest.raises(ServingError, match=r"refused: .*Servable not found: .*dogs"):
        list(client.localize([CAT]))


def test_a_version_may_be_asked_for(address, protocol):
    [record] = ServingClient(address, version=1, protocol=protocol).localize([CAT])
    assert record.detections[0].label == "Egyptian cat"
    with pytest.raises(ServingError, match=r"refused: .*(No version |versions/)2"):
        list(ServingClient(address, version=2, protocol=protocol).localize([CAT]))


def test_bad_arguments_are_refused(grpc_address):
    with pytest.raises(ValueError, match=r"`protocol` must be one of .*Received: protocol='http'"):
        ServingClient(grpc_address, protocol="http")
    client = ServingClient(grpc_address)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        list(client.localize([CAT], batch_size=0))
    with pytest.raises(ValueError, match=r"Arrays must be uint8 \(H, W, 3\)"):
        list(client.localize([np.zeros((4, 4))]))


def test_the_warm_up_requests_are_real_and_answered(saved, service, grpc_address):
    file = saved / "assets.extra" / "tf_serving_warmup_requests"
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(grpc_address))
    asked = []
    for record in tf.data.TFRecordDataset([str(file)]).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        asked.append(request.model_spec.signature_name)
        assert stub.Predict(request).outputs
    assert asked == ["localize", "localize_bytes", "classify", "cam"]


def test_the_nightly_batch_through_a_server_writes_what_this_machine_finds(saved, rest_address, tmp_path):
    main = runpy.run_path(str(EXAMPLES / "nightly_batch.py"))["main"]
    (tmp_path / "photos").mkdir()
    shutil.copy(CAT, tmp_path / "photos")
    (tmp_path / "photos" / "broken.png").write_bytes(b"")
    main(tmp_path / "photos", tmp_path / "records.jsonl", "cam", rest_address, "rest")
    broken, cat = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert "broken.png" in broken["error"]
    [expected] = keras_cam.localize(CAT, saved)
    assert cat["model"] == "cam"
    assert [row["label"] for row in cat["detections"]] == [row.label for row in expected.detections]
    for ours, theirs in zip(cat["detections"], expected.detections, strict=True):
        np.testing.assert_allclose(ours["box_xyxy"], theirs.box_xyxy, atol=0.5)
