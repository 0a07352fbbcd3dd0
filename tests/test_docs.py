"""The Python examples in the documentation run, page by page, and print what they say."""

import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest
import skimage

from coco_files import write_coco
from keras_cam.cli.main import _parser

DOCS = Path(__file__).parent.parent / "docs"
NEED_OTHERS = {"distributed", "serving"}  # a cluster, a server
PRINTED = {
    "devices": r"Egyptian cat\n",
    "data": r".*: 6 images, 2 classes, 0 boxes\nchelsea\.png \[\[112\.75, 75\.0, 338\.25, 225\.0\]\]\n",
    "discovery": r"(9[5-9]|100)%\n",
    "evaluation": r"1\.0 \(0\.2.*\)\nhalf\n1\.0\n",
    "labels": r"\(\d+, \d+\)\n\(None, 224, 224, 1\)\n",
    "localization": r"\(None, 5, 20, 20\)\n",
    "methods": r"\(None, 3, 2, 2\)\n",
    "own_model": r"\(None, 3, 3, 1280\)\ngradient gradcam\+\+\n\(1, 3, 2\)\n",
    "training": r"64\n2\n",
}


def examples(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


PAGES = {page.stem: page for page in sorted(DOCS.glob("*.md")) if examples(page)}


@pytest.fixture
def place(shapes, tmp_path, monkeypatch):
    """A folder with `photos`, `birds` of two classes with or without boxes, `yolo`, and `shapes`."""
    photos = {
        "photos": ("chelsea", "coffee"),
        "birds/train/one": ("chelsea",),
        "birds/train/two": ("coffee",),
    }
    for folder, names in photos.items():
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            for copy in range(3):
                shutil.copy(f"{skimage.data_dir}/{name}.png", tmp_path / folder / f"{name}{copy}.png")
    for name in ("images", "labels"):
        (tmp_path / "yolo" / name / "train").mkdir(parents=True)
    shutil.copy(f"{skimage.data_dir}/chelsea.png", tmp_path / "yolo/images/train")
    (tmp_path / "yolo/labels/train/chelsea.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "birds_with_boxes").mkdir()
    shutil.copy(f"{skimage.data_dir}/chelsea.png", tmp_path / "birds_with_boxes")
    annotated = {"chelsea.png": ((451, 300), [("one", [112, 75, 226, 150])])}
    write_coco(tmp_path / "birds_with_boxes" / "test.json", annotated, ["one", "two"])
    (tmp_path / "shapes").symlink_to(shapes)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", sorted(PAGES.keys() - NEED_OTHERS))
def test_the_examples_of_a_page_run(page, place, capsys):
    namespace = {}
    for example in examples(PAGES[page]):
        exec(compile(example, PAGES[page].name, "exec"), namespace)
    assert re.fullmatch(PRINTED.get(page, ""), capsys.readouterr().out)


def shell_commands(page):
    """The arguments of each `keras-cam` in a block of shell commands."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", "").replace("$SLURM_ARRAY_TASK_ID", "1").splitlines()
    for line in lines:
        if found := re.search(r"^(?!pip )[^#\"]*\bkeras-cam (.*?)( > .*)?$", line):
            yield shlex.split(found[1], comments=True)


def test_the_command_line_takes_every_command_of_a_page():
    pages = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
    commands = [command for page in pages for command in shell_commands(page)]
    assert len(commands) > 50
    for command in commands:
        assert _parser(command[:1]).parse_args(command)


def test_the_page_of_benchmarks_has_the_commands_of_the_program_that_writes_it():
    report = runpy.run_path(str(DOCS.parent / "benchmarks" / "report.py"))
    commands = {title: commands for title, _, commands in report["SECTIONS"]}
    texts = report["sections_of"](DOCS / "benchmarks.md")
    assert texts
    for title, text in texts.items():
        assert re.findall(r"^\$ (.*)$", text, re.MULTILINE) == commands[title]


def test_every_question_is_answered_by_the_file_that_the_page_names():
    rows = re.findall(r"^\| (.+\?) \| `(.+)` \| `(.+)` \|$", (DOCS / "where.md").read_text(), re.MULTILINE)
    assert len(rows) >= 20
    for question, file, text in rows:
        assert text in (DOCS.parent / file).read_text(), question
