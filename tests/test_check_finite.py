"""NaN and infinity are never taken for results."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from keras_cam.check_finite import NotFiniteError
from keras_cam.cli import main as cli
from keras_cam.cli.console import print_json
from keras_cam.inference.records import localizations


@pytest.fixture
def broken(tmp_path):
    """A classifier with a NaN, and a photo of each of its classes."""
    layers = [keras.layers.Conv2D(4, 3, name="early"), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers, keras.layers.Dense(2, name="head")])
    kernel, bias = model.get_layer("early").get_weights()
    kernel[0, 0, 0, 0] = np.nan
    model.get_layer("early").set_weights([kernel, bias])
    model.save(tmp_path / "broken.keras")
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(tmp_path / "photos" / name / "1.png")
    return model, tmp_path


def test_weights_that_are_no_numbers_are_named_and_nothing_is_made_of_them(broken, capsys):
    model, folder = broken
    named = ["--model", str(folder / "broken.keras")]
    photos = str(folder / "photos")
    for command in (
        ["localize", photos, "--json", *named],
        ["evaluate", "--data", photos, "--json", *named],
        ["export", "--format", "litert", "--output", str(folder / "cam.tflite"), *named],
        ["units", photos, "--class", "1", "--output", str(folder / "units"), *named],
        ["features", "--data", photos, "--output", str(folder / "features.npz"), *named],
    ):
        assert cli.main(command) != 0, command
        captured = capsys.readouterr()
        assert not captured.out
        assert "must be finite. Received: " in captured.err.splitlines()[-1]
        assert ("early/kernel, with 1 of 108" in captured.err) or command[0] in ("units", "features")
    assert not (folder / "cam.tflite").exists()
    with pytest.raises(NotFiniteError, match="early/kernel"):
        keras_cam.export.save_litert(keras_cam.build_localizer(model), folder / "cam.tflite")


class Overflowing:
    """A localizer whose weights nobody can see, and whose scores are NaN."""

    size_hw, channels, classes, labels, threshold = (16, 16), 3, 2, ("cat", "dog"), 0.2

    def localize(self, images):
        count = len(images)
        return {
            "detection_boxes": np.zeros((count, 1, 4)),
            "detection_classes": np.zeros((count, 1), int),
            "detection_scores": np.full((count, 1), np.nan),
            "num_detections": np.zeros(count, int),
            "class_activation_maps": np.zeros((count, 1, 2, 2)),
        }

    def classify_and_cam(self, images, class_ids, top_k, crop=None):
        return {"logits": np.full((len(images), 2), np.inf)}


def test_outputs_that_are_no_numbers_are_named(broken):
    _, folder = broken
    with pytest.raises(NotFiniteError, match="detection_scores, with 2 of 2 values NaN or infinite"):
        list(keras_cam.localize_files(Overflowing(), folder / "photos"))
    annotated = keras_cam.read_annotations(folder / "photos")
    with pytest.raises(NotFiniteError, match="logits, with 4 of 4"):
        keras_cam.evaluate(Overflowing(), annotated)
    maps = {"detection_scores": [[0.5]], "class_activation_maps": [[[[np.inf]]]]}
    with pytest.raises(NotFiniteError, match="class_activation_maps"):
        localizations({**Overflowing().localize([0]), **maps}, ["x"], [(1, 1)])


def test_json_holds_numbers_only(capsys):
    print_json({"score": 0.5})
    assert json.loads(capsys.readouterr().out) == {"score": 0.5}
    with pytest.raises(NotFiniteError, match="which JSON does not know"):
        print_json({"score": float("nan")})
    assert not capsys.readouterr().out
