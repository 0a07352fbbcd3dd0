"""The SavedModel runs without Python: the C++ program of the examples localizes a photo with it."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage

import keras_cam
from keras_cam import load_localizer, localize_files
from keras_cam.export import save_saved_model
from keras_cam.models.labels import imagenet_labels
from processes import run

EXAMPLE = Path(__file__).parents[1] / "examples" / "cpp"
PHOTO = f"{skimage.data_dir}/coffee.png"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cpp")
    for name in ("localize.cc", "Makefile"):
        shutil.copy(EXAMPLE / name, folder)
    made = run("make", "-C", folder, f"PYTHON={sys.executable}")
    assert made.returncode == 0, made.stderr
    return folder / "localize"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
    localizer = keras_cam.build_localizer(model, top_k=3)
    return save_saved_model(localizer, tmp_path_factory.mktemp("models") / "cam" / "1")


def test_it_prints_the_boxes_that_python_finds(program, saved):
    result = run(program, saved, PHOTO)
    assert result.returncode == 0, result.stderr
    [record] = localize_files(load_localizer(saved), [PHOTO], imagenet_labels())
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[1] for line in lines] == [detection.label for detection in record.detections]
    size = np.array([record.height, record.width] * 2)
    for line, detection in zip(lines, record.detections, strict=True):
        assert int(line[0]) == detection.class_id
        assert float(line[2]) == pytest.approx(detection.score, abs=1e-5)
        left, top, right, bottom = detection.box_xyxy
        box = np.array(line[3].split(), float) * size
        np.testing.assert_allclose(box, [top, left, bottom, right], atol=0.05)


def test_what_is_wrong_is_said(program, saved, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    broken = run(program, saved, tmp_path / "broken.jpg")
    assert (broken.returncode, broken.stdout) == (0, "")  # no detections
    missing = run(program, saved, tmp_path / "missing.jpg")
    assert missing.returncode == 1
    assert "missing.jpg cannot be read" in missing.stderr
    nowhere = run(program, tmp_path / "nowhere", PHOTO)
    assert nowhere.returncode == 1
    assert "Could not find SavedModel" in nowhere.stderr
    assert run(program).returncode == 2
