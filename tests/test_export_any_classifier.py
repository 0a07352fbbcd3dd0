"""Localizers with any head, exported: the same maps from every format."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_cam import build_localizer, load_localizer
from keras_cam.export import save_litert, save_onnx, save_saved_model


def transformer():
    """A class token, attention and GELU: what exports of gradients usually fail at."""
    images = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 4))(layers.Conv2D(4, 4, strides=4)(layers.Rescaling(1 / 255)(images)))
    x = ops.concatenate([ops.mean(x, axis=1, keepdims=True), x], axis=1)
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 2)(y, y)
    x = x + layers.Dense(4)(layers.Dense(6, activation="gelu")(layers.LayerNormalization()(x)))
    return keras.Model(images, layers.Dense(3)(layers.LayerNormalization()(x)[:, 0]))


def hidden_layer():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=4, activation="relu")(layers.Rescaling(1 / 255)(images))
    x = layers.Dense(6, activation="hard_silu")(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(3, activation="softmax")(x))


def saved(kind, localizer, folder):
    if kind == "saved_model":
        return save_saved_model(localizer, folder / "1")
    if kind == "onnx":
        pytest.importorskip("tf2onnx")
        return save_onnx(localizer, folder / "localizer.onnx")
    return save_litert(localizer, folder / "localizer.tflite")


@pytest.mark.parametrize("kind", ["saved_model", "litert", "onnx"])
@pytest.mark.parametrize("build", [transformer, hidden_layer])
def test_maps_of_gradients_are_the_same_in_every_format(build, kind, tmp_path):
    keras.utils.set_random_seed(1)
    localizer = build_localizer(build(), class_ids=[2, 0], method="gradcam")
    images = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype("float32")
    expected = np.asarray(localizer(images)["class_activation_maps"])
    loaded = load_localizer(saved(kind, localizer, tmp_path))
    assert (loaded.map_kind, loaded.map_method) == ("gradient", "gradcam")
    found = loaded.localize(images)["class_activation_maps"]
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_head_with_an_operation_without_a_rule_says_why_litert_cannot_have_it(tmp_path):
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=4, activation="relu")(images)
    x = layers.Dense(6, activation=lambda x: ops.erfinv(ops.tanh(x)), name="unusual")(layers.Flatten()(x))
    localizer = build_localizer(keras.Model(images, layers.Dense(3)(x)))
    with pytest.raises(ValueError, match=r"gradients only TensorFlow has, \['unusual'\]"):
        save_litert(localizer, tmp_path / "localizer.tflite")
