"""A window of grey values is a part of the graph, whoever runs it."""

import keras
import numpy as np
import pytest
import tifffile
from PIL import Image

import keras_cam
from keras_cam.cli.main import main
from keras_cam.layers import PixelWindow

LOW, HIGH = 1000, 3000


@pytest.fixture
def xray():
    """16-bit grey, 96 x 64: 1100 with a square of 2600, and values beyond the window."""
    pixels = np.full((64, 96), 1100, np.uint16)
    pixels[16:48, 32:64] = 2600
    pixels[0, 0], pixels[0, 1] = 0, 65535
    return pixels


@pytest.fixture
def localizer(colour_classifier):
    return keras_cam.build_localizer(colour_classifier, refine="none", window=(LOW, HIGH))


def cells_of(images):
    """What the maps of the classifier are: the mean of the window over 4 x 4 pixels, in 0..1."""
    part = np.clip((images.astype(np.float64) - LOW) / (HIGH - LOW), 0, 1)
    return part.reshape(8, 4, 8, 4).mean(axis=(1, 3))


def values():
    return np.random.default_rng(0).integers(0, 5000, (1, 32, 32, 1)).astype(np.float32)


def test_a_classifier_of_rgb_images_becomes_a_localizer_of_grey_values(localizer):
    assert localizer.input_shape == (None, 32, 32, 1)
    found = localizer(values())
    for channel in range(3):
        np.testing.assert_allclose(found["class_activation_maps"][0, channel], cells_of(values()), atol=1e-5)


def test_other_classifiers_keep_their_channels_and_their_range():
    images = keras.Input((8, 8, 5))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Dense(1, kernel_initializer="ones")(pooled))
    options = {"refine": "none", "window": (0, 10), "pixel_range": (-1, 1)}
    localizer = keras_cam.build_localizer(model, **options)
    found = localizer(np.full((1, 8, 8, 5), 7.5, np.float32))["class_activation_maps"]
    np.testing.assert_allclose(found, 5 * 0.5)


def test_names_and_refined_maps_stay(colour_classifier):
    model = keras_cam.build_model("mobilenet_v2", classes=2, input_shape=(64, 64, 3), labels=["sick", "well"])
    localizer = keras_cam.load_localizer(model, window=(LOW, HIGH))
    assert localizer.labels == ("sick", "well")
    plain = keras_cam.load_localizer(model)
    grey = np.random.default_rng(0).integers(LOW, HIGH, (1, 64, 64, 1)).astype(np.float32)
    rgb = np.repeat((grey - LOW) / (HIGH - LOW) * 255, 3, axis=-1)
    for name, expected in plain.localize(rgb).items():
        np.testing.assert_allclose(localizer.localize(grey)[name], expected, atol=1e-3, err_msg=name)
    assert "localization_maps" in plain.localize(rgb)


def test_files_go_in_with_their_own_values(xray, localizer, tmp_path):
    Image.fromarray(xray).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", xray.astype(np.float32))
    np.save(tmp_path / "c.npy", xray)
    files = [tmp_path / name for name in ("a.png", "b.tif", "c.npy")]
    for record in [*keras_cam.localize_files(localizer, files), *keras_cam.localize(xray, localizer)]:
        found = record.detections[0]
        assert found.activation_map.max() == pytest.approx(0.8, abs=0.02)
        assert found.box_xyxy == pytest.approx((32, 16, 64, 48), abs=12)  # a cell


@pytest.mark.parametrize("window", [(5, 5), (7, 5), (1,), (float("nan"), 1)])
def test_windows_go_upwards(window, colour_classifier):
    with pytest.raises(ValueError, match=r"`window` must be \(low, high\).*Received: window="):
        keras_cam.build_localizer(colour_classifier, window=window)
    assert PixelWindow.from_config(PixelWindow((1, 2), channels=3).get_config()).window == (1, 2)


@pytest.mark.parametrize("name", ["cam.keras", "cam.tflite", "cam.onnx", "1"])
def test_a_saved_model_does_the_same(localizer, tmp_path, name):
    save = {
        "cam.keras": localizer.save,
        "cam.tflite": lambda path: keras_cam.export.save_litert(localizer, path),
        "cam.onnx": lambda path: keras_cam.export.save_onnx(localizer, path),
        "1": lambda path: keras_cam.export.save_saved_model(localizer, path),
    }
    save[name](tmp_path / name)
    loaded = keras_cam.load_localizer(tmp_path / name)
    assert loaded.channels == 1
    found = loaded.localize(values())["class_activation_maps"]
    np.testing.assert_allclose(found[0, 0], cells_of(values()), atol=1e-5)


def test_a_server_gets_the_values_of_grey_files(localizer, xray, tmp_path):
    """What the client sends, decoded by the SavedModel as a server does."""
    import tensorflow as tf

    from keras_cam.inference.serving import _encoded

    Image.fromarray(xray).save(tmp_path / "a.png")
    keras_cam.export.save_saved_model(localizer, tmp_path / "1")
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["localize_bytes"]
    [expected] = keras_cam.localize_files(localizer, tmp_path / "a.png")
    for image in (tmp_path / "a.png", xray):
        content, size_wh = _encoded(image, 1)
        assert size_wh == (96, 64)
        maps = served(image_bytes=tf.constant([content]))["class_activation_maps"]
        np.testing.assert_allclose(maps[0, 0], expected.detections[0].activation_map, atol=0.01)
    with pytest.raises(ValueError, match=r"uint8 or uint16 \(H, W, 1\). Received: float32"):
        _encoded(xray.astype(np.float32), 1)


def test_litert_metadata_say_what_the_images_are():
    from keras_cam.export.litert_metadata import ModelCard, litert_metadata

    texts = {3: b"RGB pixels in 0..255.", 1: b"Grey values.", 5: b"Values of 5 bands."}
    for channels, text in texts.items():
        metadata = litert_metadata(ModelCard(), (8, 8), ["detection_boxes"], channels)
        assert [other in metadata for other in texts.values()] == [one == text for one in texts.values()]


def test_what_shows_photos_takes_no_grey_model(localizer, tmp_path):
    for save, name in ((keras_cam.export.save_web, "site"), (keras_cam.export.save_mediapipe, "d.tflite")):
        with pytest.raises(
            ValueError, match=r"must take RGB images.*Received: one of images with 1 channels"
        ):
            save(localizer, tmp_path / name)


def test_the_commands_take_windows(colour_classifier, xray, tmp_path, capfd):
    colour_classifier.save(tmp_path / "colours.keras")
    Image.fromarray(xray).save(tmp_path / "a.png")
    command = ["localize", str(tmp_path / "a.png"), "--model", str(tmp_path / "colours.keras"), "--json"]
    assert main([*command, "--window", "1000", "3000"]) == 0
    assert '"box_xyxy": [' in capfd.readouterr().out
    assert main([*command, "--window", "3000", "1000"]) == 2
    assert main([*command, "--window", "1000", "3000", "--range", "0", "4095"]) == 2
    assert "LOW < HIGH" in capfd.readouterr().err
