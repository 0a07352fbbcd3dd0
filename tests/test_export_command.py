"""`keras-cam export`, and exported models as `--model` of the other commands."""

import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from keras_cam.cli import main as cli
from processes import run_python

LABELS = ("red", "green", "blue")
NO_MODEL = "--model must be a .keras, .caffemodel or .pth file"
NO_LABELS = "--labels: `path` must be one of"


@pytest.fixture(scope="module")
def labels_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "labels.txt"
    path.write_text("\n".join(LABELS))
    return path


@pytest.fixture(scope="module")
def exported(model_file, labels_file, tmp_path_factory):
    """What the command wrote, by format."""
    folder = tmp_path_factory.mktemp("exported")
    outputs = {
        "saved_model": folder / "colours",
        "litert": folder / "colours.tflite",
        "onnx": folder / "colours.onnx",
    }
    for name, output in outputs.items():
        arguments = ["--model", model_file, "--format", name, "--output", output, "--labels", labels_file]
        assert cli.main(["export", *map(str, arguments), "--top-k", "2"]) == 0
    return outputs


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """An image folder: a green and a blue rectangle on black, 96 x 64 pixels, in folders of their classes."""
    root = tmp_path_factory.mktemp("photos")
    for name in LABELS:
        (root / name).mkdir()
        pixels = np.zeros((64, 96, 3), np.uint8)
        pixels[16:48, 24:48, LABELS.index(name)] = 255
        Image.fromarray(pixels).save(root / name / f"{name}.png")
    return root


def run_json(capsys, *arguments):
    status = cli.main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


RUNTIMES = {"saved_model": "tensorflow", "litert": "litert", "onnx": "onnx"}


@pytest.mark.parametrize("name", RUNTIMES)
def test_an_exported_model_localizes_like_the_one_it_was_made_from(
    capsys, exported, model_file, labels_file, photos, name
):
    labels = ("--labels", labels_file, "--top-k", 2)
    expected = run_json(capsys, "localize", photos, "--model", model_file, *labels)
    found = run_json(capsys, "localize", photos, "--model", exported[name])
    assert [record["detections"][0]["label"] for record in found] == sorted(LABELS)
    for record, other in zip(found, expected, strict=True):
        assert len(record["detections"]) == 2
        about = {"model": str(exported[name]), "runtime": RUNTIMES[name], "detections": None}
        assert {**record, "detections": None} == {**other, **about}
        for one, another in zip(record["detections"], other["detections"], strict=True):
            assert (one["class_id"], one["label"]) == (another["class_id"], another["label"])
            assert one["score"] == pytest.approx(another["score"], abs=1e-4)
            assert one["box_xyxy"] == (another["box_xyxy"] and pytest.approx(another["box_xyxy"], abs=0.02))


@pytest.mark.parametrize("name", ["saved_model", "litert", "onnx"])
def test_an_exported_model_is_evaluated_by_the_names_of_its_classes(capsys, exported, photos, name):
    # Folders are classes in the order of their names, blue, green, red; the model has another order.
    assert cli.main(["evaluate", "--data", str(photos), "--model", str(exported[name]), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["classification_top1_error"] == 0
    assert "matched by name" in err


def test_each_export_is_a_new_version_with_what_a_server_needs(capsys, exported, model_file):
    folder = exported["saved_model"]
    (folder / "batching_parameters.txt").write_text("mine")
    arguments = ["--model", model_file, "--format", "saved_model", "--output", folder]
    assert cli.main(["export", *map(str, arguments)]) == 0
    written = [folder / "2", folder / "models.config", folder / "batching_parameters.txt"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [str(path) for path in written]
    assert re.fullmatch(r"size: \d\.\d MB", lines[3])
    assert lines[4:] == [
        "input: RGB images, 0..255, of 32 x 32 pixels",
        "output: boxes of class activation maps; 3 classes without names of their own",
        f"try it: keras-cam localize photos/ --model {folder / '2'}",
    ]
    assert sorted(os.listdir(folder)) == ["1", "2", "batching_parameters.txt", "models.config"]
    assert 'base_path: "/models/colours"' in (folder / "models.config").read_text()
    assert (folder / "batching_parameters.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "flatbuffer", "--output", "x"], "invalid choice: 'flatbuffer' (choose from"),
        (["--format", "onnx", "--output", "x.pb"], "`path` must end in .onnx. Received: path='x.pb'"),
        (["--format", "onnx"], "the following arguments are required: --output"),
        (["--format", "litert", "--output", "x.pb"], "`path` must end in .tflite. Received: path='x.pb'"),
        (["--format", "litert", "--output", "x.tflite", "--quantization", "int8"], "`representative_data`"),
        (["--format", "onnx", "--output", "x.onnx", "--quantization", "int8"], "go with --format litert"),
        (["--format", "onnx", "--output", f"{__file__}/x.onnx"], f"--output {__file__}/x.onnx: "),
        (["--format", "saved_model", "--output", f"{__file__}/x"], f"--output {__file__}/x: Not a directory"),
        (["--format", "saved_model", "--output", "1"], "`path` must be a new version"),
        (
            ["--format", "onnx", "--output", "x.onnx", "--model", "nothing"],
            NO_MODEL,
        ),
        (
            ["--format", "onnx", "--output", "x.onnx", "--labels", os.devnull],
            NO_LABELS,
        ),
    ],
)
def test_wrong_usage_is_status_2_and_one_clear_message(
    capsys, monkeypatch, tmp_path, model_file, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1").mkdir()
    try:
        status = cli.main(["export", "--model", str(model_file), *arguments])
    except SystemExit as stop:  # how argparse reports
        status = stop.code
    assert status == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == ["1"]


def test_a_litert_file_localizes_without_tensorflow_and_without_a_word(exported, photos):
    code = """
import sys
from keras_cam.cli.main import main
status = main(["localize", "--json", *sys.argv[1:]])
heavy = {"tensorflow", "keras"} & set(sys.modules)
assert (status, heavy) == (0, set()), (status, heavy)
"""
    arguments = [str(photos / "green"), "--model", str(exported["litert"])]
    done = run_python("-c", code, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    [record] = map(json.loads, done.stdout.splitlines())
    assert record["detections"][0]["label"] == "green"
