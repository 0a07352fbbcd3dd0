"""`keras_cam.localize`: the shortest way from photos to what is in them."""

import json
import warnings
from io import BytesIO

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_cam
from keras_cam.inference import KerasLocalizer, SaliencyLocalizer


def green_square():
    """96 x 64 pixels, black but for a green square of 32."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:48, 32:64, 1] = 255
    return pixels


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(green_square()).save(tmp_path / "green.png")
    Image.fromarray(green_square()[..., [0, 2, 1]]).save(tmp_path / "blue.png")
    return tmp_path


def test_a_file_a_folder_files_and_arrays_give_the_same_records(folder, colour_classifier):
    ways = {
        "a file": folder / "green.png",
        "its name": str(folder / "green.png"),
        "files": [folder / "green.png"],
        "an array": green_square(),
        "a batch": green_square()[None],
        "arrays": [green_square()],
    }
    localizer = keras_cam.load_localizer(colour_classifier)
    for way, photos in ways.items():
        [record] = keras_cam.localize(photos, localizer)
        assert (record.width, record.height) == (96, 64), way
        [best, *_] = record.detections
        assert best.label == "class 1"
        assert best.box_xyxy == pytest.approx((32, 16, 64, 48), abs=8)
    records = keras_cam.localize(folder, colour_classifier, labels=["red", "green", "blue"])
    assert [record.detections[0].label for record in records] == ["blue", "green"]
    named = keras_cam.localize([green_square(), folder / "blue.png", green_square()], localizer)
    assert [record.image for record in named] == ["image 0", str(folder / "blue.png"), "image 2"]


@pytest.mark.slow
def test_any_kind_of_model_will_do(folder, colour_classifier, tmp_path):
    localizer = keras_cam.build_localizer(colour_classifier)
    localizer.save(tmp_path / "localizer.keras")
    keras_cam.export.save_litert(localizer, tmp_path / "localizer.tflite")
    models = [
        localizer,
        KerasLocalizer(localizer),
        tmp_path / "localizer.keras",
        tmp_path / "localizer.tflite",
    ]
    for model in models:
        [record] = keras_cam.localize(folder / "green.png", model)
        assert record.detections[0].class_id == 1
        assert record.detections[0].box_xyxy == pytest.approx((32, 16, 64, 48), abs=8)


def test_options_reach_the_localizer_or_are_refused(folder, colour_classifier):
    [record] = keras_cam.localize(folder / "green.png", colour_classifier, top_k=1)
    assert len(record.detections) == 1
    with pytest.raises(
        ValueError, match=r"`top_k` must not be given\. Received: {'top_k': 1} for a localizer"
    ):
        keras_cam.localize(folder / "green.png", keras_cam.build_localizer(colour_classifier), top_k=1)


def test_a_broken_photo_is_a_warning_and_nothing_but_broken_photos_an_error(folder, colour_classifier):
    (folder / "broken.png").write_bytes(b"no photo")
    with pytest.warns(UserWarning, match=r"Cannot read .*broken\.png: not an image"):
        records = keras_cam.localize(folder, colour_classifier)
    assert [record.image for record in records] == [str(folder / "blue.png"), str(folder / "green.png")]
    with pytest.raises(ValueError, match=r"Cannot read .*broken\.png: not an image"):
        keras_cam.localize(folder / "broken.png", colour_classifier)


@pytest.mark.parametrize(
    "photo", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((8, 8, 4), "u1")]
)
def test_arrays_that_are_no_rgb_pixels_are_refused(photo, colour_classifier):
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\).* Received: (uint8|float64) \(8, 8"):
        keras_cam.localize([photo], colour_classifier)


def test_a_record_draws_itself(folder, colour_classifier, monkeypatch):
    shown = []
    monkeypatch.setattr(Image.Image, "show", lambda image, title: shown.append(np.asarray(image)))
    for photo in (folder / "green.png", green_square()):
        [record] = keras_cam.localize(photo, colour_classifier)
        picture = record.picture()
        assert picture.shape == (213, 320, 3)  # enlarged, so that the text can be read
        record.save(folder / "found.png")
        record.show()
        assert Image.open(BytesIO(record._repr_png_())).size == (320, 213)
        np.testing.assert_array_equal(np.asarray(Image.open(folder / "found.png")), picture)
        np.testing.assert_array_equal(shown.pop(), picture)
        assert json.loads(json.dumps(record.to_dict()))["width"] == 96
        assert "pixels" not in record.to_dict()


def test_records_become_detections_of_supervision(folder, colour_classifier):
    supervision = pytest.importorskip("supervision")
    [record] = keras_cam.localize(folder / "green.png", colour_classifier, labels=["red", "green", "blue"])
    with_box = [detection for detection in record.detections if detection.box_xyxy]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = record.to_supervision()
        best = next(iter(found))
    assert isinstance(found, supervision.Detections)
    assert len(found) == len(with_box) < len(record.detections)  # a class that is nowhere has no box
    xyxy, _, confidence, class_id, _, data = best
    np.testing.assert_allclose(xyxy, with_box[0].box_xyxy, rtol=1e-6)
    assert (class_id, data["class_name"]) == (1, "green")
    assert confidence == pytest.approx(with_box[0].score)


@pytest.mark.parametrize("open_localizer", [keras_cam.load_localizer, SaliencyLocalizer])
def test_many_localizers_are_no_reason_for_a_warning(caplog, colour_classifier, monkeypatch, open_localizer):
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    for _ in range(7):
        localizer = open_localizer(colour_classifier)
        images = np.zeros((1, *localizer.size_hw, 3), np.float32)
        localizer.localize(images)
        localizer.classify(images)
        localizer.cam(images, [[0]])
    assert "retracing" not in caplog.text
