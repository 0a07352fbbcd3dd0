"""The programs of docs/walks.md, run as their commands say, on small data."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_cam
from coco_files import write_coco
from keras_cam.images.files import read_image

REPOSITORY = Path(__file__).parent.parent
COLOURS = {"red": 0, "green": 1, "blue": 2}


def run(program, *arguments):
    """Run `python examples/PROGRAM.py ARGUMENTS` in this process."""
    path = REPOSITORY / "examples" / f"{program}.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        runpy.run_path(str(path), run_name="__main__")


def draw(path, colour):
    """A black photo with a coloured square from (8, 16) to (24, 32), both in x, y."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[16:32, 8:24, COLOURS[colour]] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def squares(tmp_path, monkeypatch):
    """The current folder, with `photos/train/COLOUR/N.png` and `photos/test/COLOUR/N.png`."""
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 6), ("test", 2)):
        for colour in COLOURS:
            for number in range(count):
                draw(tmp_path / "photos" / split / colour / f"{number}.png", colour)
    return tmp_path


def test_the_page_has_the_text_of_the_programs():
    page = (REPOSITORY / "docs" / "walks.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    names = ("folder_to_phone", "own_model_to_figures", "nightly_batch")
    assert blocks == [(REPOSITORY / "examples" / f"{name}.py").read_text(encoding="utf-8") for name in names]


def test_from_a_folder_to_a_phone(squares, capsys):
    small = ("--image-size", "64", "--head-epochs", "8", "--epochs", "1")
    run("folder_to_phone", "photos", "photos/test/red/0.png", "--output", "phone", *small)
    phone_file = squares / "phone" / "localizer.tflite"
    assert f"For the phone: {phone_file.relative_to(squares)}" in capsys.readouterr().out
    [lite] = keras_cam.localize("photos/test/green/0.png", phone_file)
    [trained] = keras_cam.localize("photos/test/green/0.png", squares / "phone/run/localizer.keras")
    assert lite.detections[0].label == trained.detections[0].label == "green"
    for ours, theirs in zip(lite.detections, trained.detections, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
    assert read_image(squares / "phone" / "0.png").shape == (320, 320, 3)


def test_from_a_model_to_figures_and_a_table(squares, colour_classifier, capsys):
    colour_classifier.save(squares / "colours.keras")
    # The middle one of the three boxes is nowhere near the square.
    boxes = {"red": [8, 16, 16, 16], "green": [48, 48, 8, 8], "blue": [8, 16, 16, 16]}
    images = {f"{name}/0.png": ((64, 64), [(name, box)]) for name, box in boxes.items()}
    write_coco(squares / "photos/test/annotations.json", images, list(COLOURS))
    run("own_model_to_figures", "colours.keras", "photos/test/annotations.json", "--figures", "2")
    rates = {
        "classification top1 error": "0.0% [0.0%, 56.1%]",
        "gt known accuracy": "66.7% [20.8%, 93.9%]",
    }
    table = (squares / "figures" / "table.md").read_text()
    assert table in capsys.readouterr().out
    for name, rate in rates.items():
        assert re.search(rf"^\| {name} +\| +{re.escape(rate)} \|$", table, re.MULTILINE)
    latex = (squares / "figures" / "table.tex").read_text()
    assert r"66.7\% [20.8\%, 93.9\%]" in latex
    assert latex.startswith(r"\begin{tabular}")
    for number in (1, 2):
        assert (squares / "figures" / f"figure{number}.pdf").read_bytes().startswith(b"%PDF")
    assert not (squares / "figures" / "figure3.pdf").exists()


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_night_only_new_photos(squares, colour_classifier, capsys):
    keras_cam.build_localizer(colour_classifier, labels=list(COLOURS)).save(squares / "colours.keras")
    incoming, records = squares / "incoming", squares / "records.jsonl"
    draw(incoming / "blue.png", "blue")
    (incoming / "broken.png").write_bytes(b"not a photo")
    night = ("nightly_batch", "incoming", "records.jsonl", "--model", "colours.keras")
    run(*night)
    assert capsys.readouterr().out == "1 photos localized, 1 failed, 0 done before\n"
    blue, broken = lines_of(records)
    assert blue["image"] == str(incoming / "blue.png")
    best = blue["detections"][0]
    assert (best["label"], best["class_id"]) == ("blue", 2)
    assert "broken.png" in broken["error"]
    assert "detections" not in broken
    before = records.read_bytes()
    run(*night)
    assert records.read_bytes() == before
    draw(incoming / "deeper" / "red.png", "red")
    run(*night)
    assert capsys.readouterr().out.endswith("1 photos localized, 0 failed, 2 done before\n")
    assert records.read_bytes().startswith(before)
    assert lines_of(records)[2]["detections"][0]["label"] == "red"


def test_a_line_that_was_cut_off_is_written_again(squares, colour_classifier):
    keras_cam.build_localizer(colour_classifier).save(squares / "colours.keras")
    draw(squares / "incoming" / "0.png", "blue")
    draw(squares / "incoming" / "1.png", "red")
    night = ("nightly_batch", "incoming", "records.jsonl", "--model", "colours.keras")
    run(*night)
    records = squares / "records.jsonl"
    whole = records.read_bytes()
    records.write_bytes(whole[:-20])
    run(*night)
    assert records.read_bytes() == whole
    shutil.rmtree(squares / "incoming")
    with pytest.raises(FileNotFoundError, match="incoming"):
        run(*night)
    assert records.read_bytes() == whole
