"""LiteRT files run without TensorFlow, and give the same records."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_cam
from keras_cam import localize_files
from keras_cam.export import save_litert
from keras_cam.images.resize import resize
from keras_cam.inference.litert import LiteRTLocalizer
from keras_cam.inference.records import FailedImage, Localization
from processes import run_python

LABELS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def localizer(colour_classifier):
    return keras_cam.build_localizer(colour_classifier, top_k=2)


@pytest.fixture(scope="module")
def file(localizer, tmp_path_factory):
    return save_litert(localizer, tmp_path_factory.mktemp("litert") / "colours.tflite", LABELS)


@pytest.fixture
def photos(tmp_path):
    """A folder with a photo, 96 x 64 pixels, that shows a green rectangle; and a broken file."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:48, 24:48, 1] = 255
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(pixels).save(folder / "green.png")
    (folder / "broken.png").write_bytes(b"")
    return folder


def test_records_are_those_of_the_keras_model(file, localizer, photos):
    lite, keras_records = LiteRTLocalizer(file), list(localize_files(localizer, [photos], LABELS, "colours"))
    assert [type(record) for record in keras_records] == [FailedImage, Localization]
    for record, expected in zip(
        localize_files(lite, [photos], model_name="colours"), keras_records, strict=True
    ):
        if isinstance(expected, FailedImage):
            assert record == expected
            continue
        assert (record.image, record.width, record.height) == (expected.image, 96, 64)
        assert record.model == "colours"
        for found, wanted in zip(record.detections, expected.detections, strict=True):
            assert (found.class_id, found.label) == (wanted.class_id, wanted.label)
            assert found.score == pytest.approx(wanted.score, abs=1e-5)
            assert found.box_xyxy == pytest.approx(wanted.box_xyxy, abs=0.01)
            np.testing.assert_allclose(found.activation_map, wanted.activation_map, atol=1e-4)


@pytest.mark.parametrize("size_hw", [(9, 13), (40, 31), (101, 90)])
def test_photos_are_resized_as_tensorflow_does_it(size_hw):
    photo = np.random.default_rng(0).integers(0, 256, (50, 71, 3)).astype("uint8")
    expected = tf.clip_by_value(tf.image.resize(photo, size_hw, "bicubic", antialias=True), 0, 255)
    np.testing.assert_allclose(resize(photo, size_hw), expected, atol=0.01)


def test_images_of_another_size_are_refused(file):
    with pytest.raises(
        ValueError, match=r"shape \(B, 32, 32, 3\)\. Received: an array of shape \(32, 32, 3\)"
    ):
        LiteRTLocalizer(file).localize(np.zeros((32, 32, 3)))


def test_what_is_no_file_of_ours_is_refused(tmp_path, file):
    rule = "`path` must be a LiteRT file from `keras_cam.export.save_litert`"
    with pytest.raises(ValueError, match=rf"{rule}\. Received: path='.*' \(no such file\)"):
        LiteRTLocalizer(tmp_path / "missing.tflite")
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(ValueError, match=rf"{rule}\. Received: path='.*text.tflite'"):
        LiteRTLocalizer(tmp_path / "text.tflite")
    other = tf.lite.TFLiteConverter.from_keras_model(
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    )
    (tmp_path / "other.tflite").write_bytes(other.convert())
    with pytest.raises(
        ValueError, match=rf"{rule}\. Received: .* a file with the signatures \['serving_default'\]"
    ):
        LiteRTLocalizer(tmp_path / "other.tflite")


def test_neither_tensorflow_nor_keras_is_imported(file, photos):
    code = (
        "import sys; from keras_cam import inference; lite = inference.LiteRTLocalizer(sys.argv[1]); "
        "[record] = inference.localize_files(lite, [sys.argv[2]]); print(record.detections[0].label); "
        "assert not {'tensorflow', 'keras', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    done = run_python("-c", code, file, photos / "green.png")
    assert (done.returncode, done.stdout) == (0, "green\n"), done.stderr
