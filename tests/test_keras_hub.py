"""Image classifiers of keras_hub: raw pixels go in, whatever their preprocessor does."""

import keras
import numpy as np
import pytest

import keras_cam

keras_hub = pytest.importorskip("keras_hub")

SIZE, CLASSES = 32, 3


@pytest.fixture(scope="module")
def task():
    """A small ViT that takes 32 x 32 pixels, scaled otherwise in each channel."""
    converter = keras_hub.layers.ViTImageConverter(
        image_size=(SIZE, SIZE), scale=[1 / 100, 1 / 50, 1 / 25], offset=[-1.0, 0.0, 0.5]
    )
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(SIZE, SIZE, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16
    )
    preprocessor = keras_hub.models.ViTImageClassifierPreprocessor(image_converter=converter)
    return keras_hub.models.ViTImageClassifier(
        backbone, num_classes=CLASSES, preprocessor=preprocessor, pooling="gap", activation="softmax"
    )


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("uint8")


def test_a_task_is_localized_from_raw_pixels(task, pixels):
    localizer = keras_cam.build_localizer(task, top_k="all", refine="none")
    out = localizer(pixels)
    expected = task.predict(pixels, verbose=0)  # through its preprocessor
    scores = np.take_along_axis(expected, np.asarray(out["detection_classes"]), axis=1)
    np.testing.assert_allclose(out["detection_scores"], scores, atol=1e-6)
    assert out["class_activation_maps"].shape == (2, CLASSES, 4, 4)


def test_a_preset_is_a_name(task, pixels, tmp_path):
    task.save_to_preset(str(tmp_path / "preset"))
    model = keras_cam.build_model(f"keras_hub:{tmp_path / 'preset'}", labels=["a", "b", "c"])
    np.testing.assert_allclose(model(pixels), task.predict(pixels, verbose=0), atol=1e-6)
    localizer = keras_cam.load_localizer(f"keras_hub:{tmp_path / 'preset'}", refine="none")
    assert (localizer.size_hw, localizer.classes) == ((SIZE, SIZE), CLASSES)
    other = keras_cam.build_model(f"keras_hub:{tmp_path / 'preset'}", classes=7)
    assert other.output_shape == (None, 7)


def test_an_unknown_preset_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"`name` must be 'keras_hub:' and a preset.*no_such_preset"):
        keras_cam.build_model("keras_hub:no_such_preset")


def test_a_task_without_preprocessor_keeps_its_own_range(pixels):
    images = keras.Input((SIZE, SIZE, 3))
    backbone = keras.Model(images, keras.layers.Conv2D(4, 3)(images))
    task = keras_hub.models.ImageClassifier(backbone, num_classes=CLASSES)
    out = keras_cam.build_localizer(task, top_k=1, refine="none")(pixels)
    logits = task.predict(pixels.astype("float32"), verbose=0)
    expected = keras.ops.softmax(logits)
    np.testing.assert_allclose(out["detection_scores"][:, 0], expected.numpy().max(axis=1), atol=1e-5)
