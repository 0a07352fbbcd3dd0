"""Files of models that are damaged, or whose models cannot be run: one line."""

import zipfile

import numpy as np
import pytest

import keras_cam
from keras_cam import load_localizer
from keras_cam.cli import main as cli
from keras_cam.export import save_litert, save_onnx
from keras_cam.images.files import write_png
from keras_cam.inference.model_file import ModelFileError

SAVE = {"keras": lambda model, path: model.save(path), "tflite": save_litert, "onnx": save_onnx}


@pytest.fixture(scope="module")
def whole(colour_classifier, tmp_path_factory):
    """The same localizer in several formats."""
    folder = tmp_path_factory.mktemp("models")
    localizer = keras_cam.build_localizer(colour_classifier, labels=["red", "green", "blue"])
    for suffix, save in SAVE.items():
        save(localizer, folder / f"colours.{suffix}")
    return folder


@pytest.mark.parametrize("suffix", SAVE)
def test_a_changed_byte_is_noticed(suffix, whole, tmp_path, capsys):
    content = bytearray((whole / f"colours.{suffix}").read_bytes())
    content[len(content) // 3] ^= 16
    file, photo = tmp_path / f"colours.{suffix}", tmp_path / "photo.png"
    file.write_bytes(content)
    write_png(photo, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"damaged|no whole \.keras file"):
        load_localizer(file)
    assert cli.main(["localize", str(photo), "--model", str(file), "--json"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"keras-cam: error: --model {file}: ")


def test_a_keras_file_without_one_of_its_parts(whole, tmp_path):
    file = tmp_path / "part.keras"
    with zipfile.ZipFile(whole / "colours.keras") as old, zipfile.ZipFile(file, "w") as new:
        for name in set(old.namelist()) - {"metadata.json"}:
            new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match=r"part\.keras exists, but is no whole \.keras file"):
        load_localizer(file)


def test_a_litert_file_that_lost_its_end(whole, tmp_path):
    content = (whole / "colours.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: content.rindex(b"PK\3\4")])
    with pytest.raises(ValueError, match=r"cut\.tflite is damaged: the archive at its end is missing"):
        load_localizer(tmp_path / "cut.tflite")


def test_files_of_earlier_versions_have_no_checksum(whole, tmp_path):
    content = (whole / "colours.tflite").read_bytes().replace(b"keras-cam crc32 ", b"something else, ")
    (tmp_path / "old.tflite").write_bytes(content)
    assert load_localizer(tmp_path / "old.tflite").labels == ("red", "green", "blue")


def test_what_a_runtime_refuses_is_one_line_with_the_file(whole):
    images = np.zeros((1, 32, 32, 3), np.float32)
    for suffix in ("tflite", "onnx"):
        localizer = load_localizer(whole / f"colours.{suffix}")
        with pytest.raises(ModelFileError, match=rf"^The model in .*\.{suffix} cannot be run: [^\n]*$"):
            localizer.cam(images, [[99]])
        assert localizer.cam(images, [[1]])["detection_boxes"].shape == (1, 1, 4)


@pytest.mark.parametrize("command", [["units", "--class", "red"], ["foreground", "--output", "f.keras"]])
def test_a_localizer_where_a_classifier_is_needed(command, whole, tmp_path, capsys):
    write_png(tmp_path / "photo.png", np.zeros((8, 8, 3), np.uint8))
    model = whole / "colours.keras"
    assert cli.main([*command, str(tmp_path / "photo.png"), "--model", str(model)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"keras-cam: error: --model must be a classifier. Received: {model}, which is a localizer"
