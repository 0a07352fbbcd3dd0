"""An ONNX file gives what the localizer gives, in ONNX Runtime and in OpenVINO; a SavedModel there, too."""

import numpy as np
import pytest

import keras_cam
from keras_cam.export import save_onnx, save_saved_model
from keras_cam.inference.onnx import OnnxLocalizer

CLASSES = 6
ASKED = np.array([[4, 0], [1, 5], [2, 2]], np.int32)


@pytest.fixture(scope="module")
def model(randomize):
    return randomize(
        keras_cam.build_model("alexnet_gap", classes=CLASSES, input_shape=(96, 128, 3), head_filters=16)
    )


@pytest.fixture(scope="module")
def localizer(model):
    return keras_cam.build_localizer(model, top_k=3)


@pytest.fixture(scope="module")
def images(photos):
    return photos(3, 96, 128)


@pytest.fixture(scope="module")
def expected(localizer, images):
    return {name: np.asarray(values) for name, values in localizer(images).items()}


@pytest.fixture(scope="module")
def onnx_file(localizer, tmp_path_factory):
    return save_onnx(localizer, tmp_path_factory.mktemp("onnx") / "cam.onnx", list("abcdef"))


def assert_same(outputs, expected):
    assert expected["num_detections"].any()
    for name, values in expected.items():
        assert outputs[name].dtype == values.dtype
        np.testing.assert_allclose(outputs[name], values, rtol=1e-3, atol=1e-3, err_msg=name)


def test_onnx_runtime_gives_what_the_localizer_gives(onnx_file, model, images, expected):
    onnx = OnnxLocalizer(onnx_file)
    outputs = onnx.localize(images)
    assert set(outputs) == set(expected)
    assert_same(outputs, expected)
    np.testing.assert_allclose(onnx.classify(images), model(images), rtol=1e-3, atol=1e-3)
    everything = keras_cam.build_localizer(model, class_ids=range(CLASSES))(images)
    found = onnx.cam(images, ASKED)
    assert set(found) == {"class_activation_maps", "detection_boxes", "localization_maps"}
    for name, values in found.items():
        rows = ASKED.reshape(*ASKED.shape, *[1] * (values.ndim - 2))
        wanted = np.take_along_axis(everything[name].numpy(), rows, axis=1)
        np.testing.assert_allclose(values, wanted, rtol=1e-3, atol=1e-3, err_msg=name)
    one = onnx.localize(images[:1])
    assert_same(one, {name: values[:1] for name, values in expected.items()})


def test_the_file_says_what_it_takes_and_knows_its_classes(onnx_file):
    onnx = OnnxLocalizer(onnx_file)
    assert (onnx.size_hw, onnx.classes, onnx.labels) == ((96, 128), CLASSES, tuple("abcdef"))


def test_classes_need_not_be_asked_for(onnx_file, images):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(onnx_file)
    assert [one.name for one in session.get_inputs()] == ["images"]
    assert [one.name for one in session.get_overridable_initializers()] == ["class_ids"]
    [maps] = session.run(["cam"], {"images": images})
    np.testing.assert_allclose(maps, OnnxLocalizer(onnx_file).cam(images, [[0]])["class_activation_maps"])


def test_openvino_opens_the_onnx_file(onnx_file, images, expected):
    assert_same(in_openvino(onnx_file, images), expected)


def test_openvino_opens_the_saved_model(localizer, images, expected, tmp_path):
    saved = save_saved_model(localizer, tmp_path / "1")
    outputs = in_openvino(saved, images)
    assert set(outputs) == set(expected)
    assert_same(outputs, expected)


def in_openvino(path, images):
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    # On processors that have bfloat16 it would compute with three digits.
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {output.any_name: values for output, values in compiled({"images": images}).items()}
