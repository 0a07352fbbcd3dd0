"""Names that others chose lead nowhere: out of a folder, into a spreadsheet's formulas, or Markdown."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from keras_cam.cli import main as cli
from keras_cam.data import ProblemKind, read_annotations
from keras_cam.evaluation.folder import Results
from keras_cam.evaluation.results import ImageResult
from keras_cam.localizer import build_localizer
from keras_cam.training.class_report import class_report
from keras_cam.training.markdown import markdown_code


@pytest.fixture
def folder(tmp_path):
    """Annotated images, and one beside their folder."""
    inside = tmp_path / "data"
    (inside / "images").mkdir(parents=True)
    for path in (inside / "a.png", inside / "images" / "a.png", tmp_path / "secret.png"):
        Image.new("RGB", (8, 8)).save(path)
    return inside


def coco(folder, names):
    images = [{"id": i, "file_name": name, "width": 8, "height": 8} for i, name in enumerate(names)]
    labels = [{"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 4, 4]} for i, _ in enumerate(names)]
    content = {"images": images, "annotations": labels, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def table(folder, names):
    (folder / "data.csv").write_text("image,label\n" + "".join(f"{name},cat\n" for name in names))
    return folder / "data.csv"


def wsol(folder, names):
    for file, rest in (("image_ids", ""), ("class_labels", ",0"), ("image_sizes", ",8,8")):
        (folder / f"{file}.txt").write_text("".join(f"{name}{rest}\n" for name in names))
    (folder / "localization.txt").write_text("".join(f"{name},0,0,4,4\n" for name in names))
    return folder


@pytest.mark.parametrize("write", [coco, table, wsol])
def test_annotations_name_only_images_below_their_folder(folder, write):
    names = [
        "a.png",
        "images/../a.png",
        "../secret.png",
        str(folder.parent / "secret.png"),
        "images/../../secret.png",
    ]
    source = write(folder, names)
    annotated = read_annotations(source)
    assert [image.name for image in annotated if "secret" in str(image.image)] == []
    assert annotated.problem_counts == {ProblemKind.OUTSIDE_FOLDER: 3}
    assert len(annotated) == 2
    assert len(read_annotations(source, allow_outside=True)) == 5


def test_evaluate_allows_images_outside_when_asked(folder, capsys, colour_classifier):
    build_localizer(colour_classifier, labels=["cat", "dog", "fish"]).save(folder / "colours.keras")
    source = coco(folder, ["a.png", "../secret.png"])
    arguments = ["evaluate", "--data", str(source), "--model", str(folder / "colours.keras"), "--json"]
    for more, images in (([], 1), (["--allow-outside"], 2)):
        assert cli.main([*arguments, *more]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["images"] == images
        assert ("image outside the folder" in err) == (images == 1)


@pytest.mark.parametrize("name", ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "cat"])
def test_no_cell_of_the_results_is_a_formula(name, monkeypatch):
    from keras_cam.data import AnnotatedImage

    text = io.StringIO()
    results = Results(csv.writer(text))
    image = AnnotatedImage(name, "x.png", 0, (0,))
    result = ImageResult(
        image, [name], (8, 8), (0,), np.zeros((0, 4)), np.zeros((2, 2), np.float32), None, {}, None
    )
    results.add(name, result)
    [_, row] = csv.reader(io.StringIO(text.getvalue()))
    for cell in (row[0], row[1], row[4], row[5]):
        assert cell[0] not in "=+-@\t\r"
        assert cell.endswith(name[1:])


def test_labels_are_no_markdown():
    tables = class_report(np.eye(2, dtype=int), ["![x](http://host/x.png)", "<script>a|b\n# c"])
    assert "![" not in tables
    assert "<script" not in tables.replace("\\<script", "")
    assert all(line.count("|") - line.count("\\|") in (0, 4) for line in tables.splitlines())
    assert markdown_code("a\n```\n<b>", "bash").startswith("````bash\n")
