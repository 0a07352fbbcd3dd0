"""A batch of no image gives rows of no image, on every runtime and by every method."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cam
from keras_cam import load_localizer, localize_files
from keras_cam.export import save_litert, save_onnx, save_saved_model
from keras_cam.inference import ServingClient
from keras_cam.inference.methods import METHODS


@pytest.fixture(scope="module")
def localizer(colour_classifier):
    return keras_cam.build_localizer(colour_classifier)


OPENED = {
    "keras": lambda model, folder: model,
    "litert": lambda model, folder: save_litert(model, folder / "colours.tflite"),
    "onnx": lambda model, folder: save_onnx(model, folder / "colours.onnx"),
    "saved_model": lambda model, folder: save_saved_model(model, folder / "colours" / "1"),
}


def assert_no_rows(localizer):
    images, ids = np.zeros((0, *localizer.size_hw, 3), np.float32), np.zeros((0, 2), np.int32)
    found, one = localizer.localize(images), localizer.localize(np.zeros((1, *localizer.size_hw, 3)))
    assert {name: values.shape[1:] for name, values in found.items()} == {
        name: values.shape[1:] for name, values in one.items()
    }
    assert {len(values) for values in found.values()} == {0}
    assert localizer.classify(images).shape == (0, 3)
    assert localizer.cam(images, ids)["detection_boxes"].shape == (0, 2, 4)
    both = localizer.classify_and_cam(images, ids, 1)
    assert both["predicted"].shape == (0, 1)
    assert both["detection_boxes"].shape == (0, 3, 4)


@pytest.mark.parametrize("runtime", OPENED)
def test_no_image_on_every_runtime(runtime, localizer, tmp_path):
    opened = load_localizer(OPENED[runtime](localizer, tmp_path))
    assert_no_rows(opened)
    assert list(localize_files(opened, [])) == []
    assert keras_cam.localize([], opened) == []
    assert keras_cam.localize(np.zeros((0, 32, 32, 3), np.uint8), opened) == []


@pytest.mark.parametrize("method", ["ten_crops", "backprop", "gradcam", "scorecam"])
def test_no_image_by_other_methods(method, tmp_path):
    images = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 3, strides=8, activation="relu", name="features")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    keras.Model(images, keras.layers.Dense(3)(pooled)).save(tmp_path / "model.keras")
    assert_no_rows(METHODS[method].load(tmp_path / "model.keras", None, "tensorflow", 1))


def test_no_image_for_the_model_itself_and_for_servers(localizer, tmp_path):
    assert localizer(np.zeros((0, 32, 32, 3)))["detection_boxes"].shape == (0, 3, 4)
    model = tf.saved_model.load(save_saved_model(localizer, tmp_path / "1"))
    out = model.signatures["localize_bytes"](image_bytes=tf.zeros((0,), tf.string))
    assert out["detection_boxes"].shape == (0, 3, 4)
    assert list(ServingClient("localhost:1", protocol="rest").localize([])) == []
