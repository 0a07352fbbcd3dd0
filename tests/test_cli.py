"""The command line, as a user meets it: odd files, exit statuses, JSON, pictures and no banners."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from keras_cam import localize_files
from keras_cam.cli import main as cli
from keras_cam.images.files import read_image
from keras_cam.inference import KerasLocalizer
from keras_cam.inference.load import DEFAULT_MODEL
from keras_cam.inference.records import FailedImage, Localization
from processes import KERAS_CAM, run_python

CLASSES = 3


@pytest.fixture(scope="module")
def model_file(model_file):
    """As people type it."""
    return str(model_file)


@pytest.fixture
def photos(tmp_path):
    """A folder with one photo, 96 x 64 pixels: a green rectangle on black."""
    folder = tmp_path / "photos"
    folder.mkdir()
    green_photo().save(folder / "green.png")
    return folder


def green_photo():
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:48, 24:48, 1] = 255
    return Image.fromarray(pixels)


def run_json(capsys, *arguments):
    status = cli.main(["localize", "--json", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["--version"])
    assert exit_info.value.code == 0
    assert capsys.readouterr().out == f"keras-cam {keras_cam.__version__}\n"


def test_json_is_one_object_a_photo_and_nothing_else(capsys, monkeypatch, photos, model_file):
    monkeypatch.chdir(photos)
    status, [record], err = run_json(capsys, "green.png", "--model", model_file, "--top-k", 2)
    assert (status, err) == (0, "")
    about = ["image", "width", "height", "model", "map_kind", "map_method", "runtime"]
    assert list(record) == [*about, "detections"]
    assert (record["image"], record["width"], record["height"]) == ("green.png", 96, 64)
    assert (record["model"], record["runtime"]) == (model_file, "tensorflow")
    best, second = record["detections"]
    assert list(best) == ["class_id", "label", "score", "box_xyxy"]
    assert (best["class_id"], best["label"]) == (1, "class 1")
    assert best["box_xyxy"] == pytest.approx([24, 16, 48, 48], abs=12)  # a map position is 12 x 8 pixels
    assert best["score"] == pytest.approx(np.exp(1 / 6) / (np.exp(1 / 6) + 2), abs=0.01)
    assert second["box_xyxy"] is None  # there is no red or blue anywhere
    assert os.listdir(photos) == ["green.png"]  # pictures only if asked for


def test_people_get_a_table_and_pictures(capsys, monkeypatch, tmp_path, photos, model_file):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["localize", "photos", "--model", model_file]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "green.png" in out
    assert "class 1" in out
    assert "keras-cam-output" in out
    picture = read_image("keras-cam-output/green_cam.jpg")
    assert picture.shape == (213, 320, 3)  # small photos are enlarged until text can be read
    # The pictures of one run are no photos for the next.
    assert cli.main(["localize", ".", "--model", model_file]) == 0
    assert os.listdir("keras-cam-output") == ["green_cam.jpg"]


def test_pictures_of_equal_names_do_not_overwrite_each_other(monkeypatch, tmp_path, model_file):
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.png", "b/x.png", "b/x_cam.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        green_photo().save(name)
    inputs = {path: path.read_bytes() for path in tmp_path.rglob("*.*g")}
    assert cli.main(["localize", "a", "b", "--model", model_file, "--output", "b"]) == 0
    assert {path: path.read_bytes() for path in inputs} == inputs
    written = {path.name for path in Path("b").iterdir()} - {"x.png", "x_cam.jpg"}
    assert written == {"x_cam-2.jpg", "x_cam-3.jpg", "x_cam_cam.jpg"}


def test_a_saved_localizer_is_used_as_it_is(capsys, tmp_path, photos, colour_classifier):
    keras_cam.build_localizer(colour_classifier, top_k=1).save(tmp_path / "localizer.keras")
    status, [record], _ = run_json(capsys, photos, "--model", tmp_path / "localizer.keras")
    assert status == 0
    assert [detection["class_id"] for detection in record["detections"]] == [1]
    status, records, err = run_json(capsys, photos, "--model", tmp_path / "localizer.keras", "--top-k", 3)
    assert (status, records) == (2, [])
    assert (
        "keeps the options that it was built with: `top_k` must not be given. Received: {'top_k': 3}" in err
    )


def test_more_classes_than_there_are_is_said(capsys, photos, model_file):
    status, [record], err = run_json(capsys, photos, "--model", model_file, "--top-k", 5)
    assert (status, len(record["detections"])) == (0, 3)
    assert err == "keras-cam: --top-k 5: the model has 3 classes, which are all localized\n"


def test_labels_come_from_a_file(capsys, tmp_path, photos, model_file):
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\nblue\n")
    _, [record], _ = run_json(capsys, photos, "--model", model_file, "--labels", labels)
    assert record["detections"][0]["label"] == "green"


def odd_files(folder):
    """Files that can be read, then files that cannot."""
    photo = green_photo()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned to the left: to be turned to the right
    photo.transpose(Image.Transpose.ROTATE_90).save(folder / "rotated.png", exif=exif)
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.convert("L").save(folder / "grey.png")
    photo.convert("P").save(folder / "palette.gif")
    photo.convert("RGBA").save(folder / "alpha.png")
    Image.new("RGB", (1, 1), "lime").save(folder / "one_pixel.png")
    Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(folder / "16bit.png")
    good = sorted(folder.iterdir())

    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no image")
    for name in ("cmyk.jpg", "alpha.png"):
        data = (folder / name).read_bytes()
        (folder / f"cut_{name}").write_bytes(data[: len(data) // 2])
    (folder / "huge.ppm").write_bytes(b"P6 60000 60000 255\n" + bytes(99))
    (folder / "no images here").mkdir()
    bad = sorted(set(folder.iterdir()) - set(good))
    return good, [*bad, folder / "missing.jpg"]


def test_bad_files_are_named_and_the_others_processed(capsys, tmp_path, model_file):
    good, bad = odd_files(tmp_path)
    mixed = [path for pair in zip(bad, good, strict=True) for path in pair]
    status, records, err = run_json(capsys, *mixed, "--model", model_file, "--batch-size", 3)
    assert status == 1
    assert [record["image"] for record in records] == [str(path) for path in good]
    lines = err.splitlines()
    assert len(lines) == len(bad)
    for line, path in zip(lines, bad, strict=True):
        assert line.startswith(f"keras-cam: Cannot read {path}: ")
    assert all(len(record["detections"]) == CLASSES for record in records)


STEERING = "\x1b[2J\x1b]0;title\x07\r\n\x85\u2028\u202e\x9b31m\udcff"


def test_names_and_labels_steer_no_terminal_and_break_no_line(
    capsys, monkeypatch, tmp_path, photos, colour_classifier
):
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "odd"
    odd.mkdir()
    shutil.copy(next(photos.iterdir()), odd / f"good{STEERING}.png")
    (odd / f"bad{STEERING}.png").write_bytes(b"no image")
    labels = tuple(f"{colour} \x1b[31m\u202e" for colour in ("red", "green", "blue"))
    keras_cam.build_localizer(colour_classifier, labels=labels).save(tmp_path / "odd.keras")
    arguments = ["localize", str(odd), "--model", "odd.keras"]
    assert cli.main([*arguments, "--output", f"out{STEERING}"]) == 1
    out, err = capsys.readouterr()
    for text in (out, err):
        assert all(character.isprintable() for line in text.split("\n") for character in line)
    assert len(err.splitlines()) == 1
    assert r"bad\x1b[2J\x1b]0;title\x07\r\n\x85\u2028\u202e\x9b31m\udcff.png: not an image" in err
    assert r"green \x1b[31m\u202e" in out
    # JSON has escapes of its own, from which the same names come back.
    assert cli.main([*arguments, "--json"]) == 1
    [record] = map(json.loads, capsys.readouterr().out.splitlines())
    assert record["image"] == str(odd / f"good{STEERING}.png")
    assert {row["label"] for row in record["detections"]} == set(labels)


def test_what_a_shell_puts_among_the_arguments_steers_no_terminal(capsys, photos):
    with pytest.raises(SystemExit):
        cli.main(["localize", str(photos), f"--{STEERING}"])
    assert cli.main(["localize", str(photos), "--model", f"a{STEERING}"]) == 2
    err = capsys.readouterr().err
    assert all(character.isprintable() for line in err.split("\n") for character in line)


def test_a_photo_and_its_exif_rotated_copy_have_the_same_box(capsys, tmp_path, photos, model_file):
    odd_files(tmp_path)
    _, [upright, rotated], _ = run_json(
        capsys, photos / "green.png", tmp_path / "rotated.png", "--model", model_file
    )
    assert upright["detections"] == rotated["detections"]
    assert (rotated["width"], rotated["height"]) == (96, 64)


def test_only_bad_files(capsys, tmp_path, model_file):
    status, records, err = run_json(capsys, tmp_path, "--model", model_file)
    assert (status, records) == (1, [])
    assert err == f"keras-cam: Cannot read {tmp_path}: a folder without images\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top-k", "0"], "--top-k: must be an integer of at least 1. Received: 0"),
        (["--threshold", "1"], "--threshold: must be a number in [0, 1). Received: 1"),
        (["--threshold", "nan"], "--threshold: must be a number in [0, 1). Received: nan"),
        (["--batch-size", "two"], "--batch-size: must be an integer of at least 1. Received: two"),
        (
            ["--model", "resnet9000"],
            "--model must be a .keras, .caffemodel or .pth file, an exported model or one of ",
        ),
        (["--model", "vgg16_gap"], "--model vgg16_gap: 'vgg16_gap' has no weights"),
        (["--model", __file__], f"--model {__file__}: "),
        (["--labels", "missing.txt"], "--labels: `path` must be one of"),
        (["--output", __file__], "--output must be a folder that can be written"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_usage_is_status_2_and_one_clear_message(capsys, photos, model_file, arguments, message):
    try:
        status = cli.main(["localize", str(photos), "--model", model_file, *arguments])
    except SystemExit as stop:  # how argparse reports
        status = stop.code
    assert status == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_labels_must_fit_the_model(capsys, tmp_path, photos, model_file):
    (tmp_path / "two.txt").write_text("red\ngreen\n")
    status, records, err = run_json(capsys, photos, "--model", model_file, "--labels", tmp_path / "two.txt")
    assert (status, records) == (2, [])
    assert "--labels must name the 3 classes of the model. Received: " in err


def test_models_without_a_map_are_refused(capsys, tmp_path, photos):
    vector = keras.Input((8,))
    keras.Model(vector, keras.layers.Dense(2)(vector)).save(tmp_path / "vector.keras")
    status, _, err = run_json(capsys, photos, "--model", tmp_path / "vector.keras")
    assert status == 2
    assert err.startswith(f"keras-cam: error: --model {tmp_path / 'vector.keras'}: ")
    assert err.count("\n") == 1


def test_models_that_take_more_than_images_are_refused(capsys, tmp_path, photos):
    images, age = keras.Input((8, 8, 3), name="images"), keras.Input((1,), name="age")
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    outputs = keras.layers.Dense(2)(keras.layers.Concatenate()([pooled, age]))
    keras.Model([images, age], outputs).save(tmp_path / "age.keras")
    status, _, err = run_json(capsys, photos, "--model", tmp_path / "age.keras")
    assert status == 2
    assert "whose only input is images, (B, H, W, C). " in err
    assert "Received: a model with inputs " in err


def test_what_keras_says_while_it_loads_does_not_end_up_in_the_json(
    monkeypatch, capsys, photos, colour_classifier
):
    def load(*_, **options):
        print("Downloading")
        return KerasLocalizer(keras_cam.build_localizer(colour_classifier))

    monkeypatch.setattr("keras_cam.cli.loading.load_fastest", load)
    status, records, err = run_json(capsys, photos)
    assert (status, len(records), err) == (0, 1, "Downloading\n")


def test_an_interrupt_is_status_130(monkeypatch, capsys, photos, model_file):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_cam.inference.files.localize_files", interrupted)
    assert cli.main(["localize", str(photos), "--model", model_file, "--json"]) == 130
    assert capsys.readouterr() == ("", "")


def test_pictures_that_cannot_be_written_are_failures(monkeypatch, capsys, tmp_path, photos, model_file):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_cam.images.files.write_picture", full)
    status, records, err = run_json(capsys, photos, "--model", model_file, "--output", tmp_path / "out")
    assert (status, records) == (1, [])
    assert err == f"keras-cam: Cannot write {tmp_path / 'out' / 'green_cam.jpg'}: No space left on device\n"


def test_the_table_of_models(capsys):
    assert cli.main(["models"]) == 0
    table = capsys.readouterr().out
    assert cli.main(["models", "--json"]) == 0
    models = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [model["name"] for model in models] == keras_cam.list_models()
    assert all(model["name"] in table for model in models)
    [lite0] = [model for model in models if model["name"] == DEFAULT_MODEL]
    assert lite0 == {
        "name": "efficientnet_lite0",
        "family": "efficientnet_lite",
        "parameters": 4_694_024,
        "input_size": [224, 224],
        "map_size": [7, 7],
        "weights": "classifier",
        "offline": True,
        "files": None,
    }
    assert {model["files"] for model in models if model["name"].startswith("torchvision_")} == {".pth"}


@pytest.mark.slow
def test_the_demo_finds_the_right_classes_without_a_network(capsys, tmp_path):
    assert cli.main(["demo", "--output", str(tmp_path / "demo")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for label in ("Egyptian cat", "espresso", "tripod", "moped"):
        assert label in out
    assert read_image(tmp_path / "demo" / "gallery.png").shape[2] == 3
    assert len(os.listdir(tmp_path / "demo")) == 5


def test_localize_files_gives_a_result_for_every_file(colour_classifier, tmp_path, photos):
    localizer = keras_cam.build_localizer(colour_classifier, top_k=1)
    (tmp_path / "broken.png").touch()
    files = [photos, tmp_path / "broken.png", photos / "green.png"]
    results = list(localize_files(localizer, files, ["red", "green", "blue"], "colours", batch_size=2))
    assert [type(result) for result in results] == [Localization, FailedImage, Localization]
    assert results[0] == results[2]
    assert results[0].detections[0].label == "green"
    assert results[0].detections[0].activation_map.shape == (8, 8)
    assert results[1] == FailedImage(str(files[1]), f"Cannot read {files[1]}: the file is empty")
    assert list(localize_files(localizer, [])) == []


def test_localize_files_takes_localizers_of_any_input_size_and_type(photos):
    images = keras.Input((None, None, 3), dtype="uint8")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    localizer = keras_cam.build_localizer(keras.Model(images, keras.layers.Dense(2)(pooled)))
    [result] = localize_files(localizer, [photos])
    assert result.detections[0].activation_map.shape == (224, 224)


def test_localize_files_checks_its_arguments_at_once(colour_classifier):
    asked = keras_cam.build_localizer(colour_classifier, class_ids="input")
    with pytest.raises(ValueError, match=r"`localizer` must be a model from `keras_cam.build_localizer`"):
        localize_files(asked, [])
    with pytest.raises(ValueError, match=r"`batch_size` at least 1\. Received: .*batch_size=0"):
        localize_files(colour_classifier, [], batch_size=0)
    with pytest.raises(
        ValueError, match=r"`labels` must name the 3 classes of the model\. Received: 1 names"
    ):
        localize_files(colour_classifier, [], labels=["red"])


def run_as_users_do(*arguments):
    """Without what quiets TensorFlow in the environment of the tests."""
    return run_python(*arguments, env={k: v for k, v in os.environ.items() if not k.startswith("TF_")})


@pytest.mark.slow  # TensorFlow starts
def test_the_process_writes_no_banners(photos, model_file):
    done = run_as_users_do(*KERAS_CAM, "localize", photos, "--model", model_file, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_help_and_the_list_of_models_load_nothing_heavy():
    code = """
import sys
from keras_cam.cli.main import main
for arguments in (["--help"], ["localize", "--help"], ["models"]):
    try:
        main(arguments)
    except SystemExit as stop:
        assert stop.code == 0
heavy = {"tensorflow", "keras", "matplotlib", "cv2", "skimage"} & set(sys.modules)
assert not heavy, heavy
"""
    done = run_as_users_do("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_output_that_cannot_be_written_ends_with_one_line():
    for arguments in (["--help"], ["--version"], ["models"], ["models", "--json"]):
        with open("/dev/full", "w") as full:
            command = [sys.executable, *KERAS_CAM, *arguments]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr == "keras-cam: error: standard output: no space left on device\n"
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writing)
        assert done.returncode == 1
        assert done.stderr == "keras-cam: error: standard output: broken pipe\n"


def test_a_file_that_is_no_whole_keras_file_is_not_said_to_be_missing(tmp_path, capsys, photos):
    (tmp_path / "half.keras").write_bytes(b"half of a file")
    status, _, err = run_json(capsys, photos, "--model", tmp_path / "half.keras")
    assert status == 2
    assert err.endswith("half.keras exists, but is no whole .keras file\n")
    assert err.count("\n") == 1


def test_a_batch_has_a_largest_size(capsys, photos):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["localize", str(photos), "--batch-size", "100000000000"])
    assert "must be at most 1024" in capsys.readouterr().err
