"""What the README says is true: its examples run, its names exist."""

import re
from pathlib import Path

import keras
import pytest
import skimage
from PIL import Image

import keras_cam
from stated_figures import STATED

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def section(title):
    return re.search(rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", README, re.DOTALL | re.MULTILINE)[1]


def table_rows(title):
    """The cells of each row of the table in a section, without its header."""
    rows = [line.strip("| ").split(" | ") for line in section(title).splitlines() if line.startswith("|")]
    return rows[2:]


@pytest.fixture(scope="module")
def examples():
    """The code of the README, in order."""
    return re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the photo that the examples name."""
    folder = tmp_path_factory.mktemp("readme")
    with Image.open(f"{skimage.data_dir}/chelsea.png") as cat:
        cat.save(folder / "photo.jpg")
    return folder


@pytest.fixture(scope="module")
def namespace(examples, folder):
    """The names after all examples, run in order."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for example in examples:
            exec(compile(example, "README.md", "exec"), names)
    return names


def test_the_first_example_is_three_lines_with_one_import_and_finds_the_cat(examples, namespace, folder):
    lines = [line for line in examples[0].splitlines() if line]
    assert len(lines) == 3
    assert sum("import" in line.split() for line in lines) == 1
    assert namespace["photo"].detections[0].label == "Egyptian cat"
    with Image.open(folder / "found.png") as picture:
        assert picture.size == (451, 300)


def test_the_last_example_localizes_a_classifier_of_ones_own(namespace, folder):
    localizer = keras.models.load_model(folder / "localizer.keras")
    assert localizer.output["class_activation_maps"].shape == (None, 3, 16, 16)


def test_the_table_of_outputs_names_them_all(namespace):
    out = namespace["out"]
    described = {name.strip("`"): kind for name, kind, _ in table_rows("The localizer itself")}
    assert set(described) == set(out)
    for name, kind in described.items():
        shape, dtype = re.fullmatch(r"\((.*)\) (\w+)", kind).groups()
        assert dtype == out[name].dtype
        assert len([size for size in shape.split(",") if size.strip()]) == out[name].ndim


def test_every_model_in_the_table_exists():
    """Of a row "`a_b0` … `a_b7`" the names in between are left out."""
    named = [name for _, names, _ in table_rows("Models by name") for name in re.findall(r"`(\w+)`", names)]
    assert set(named) <= set(keras_cam.list_models())
    assert len(named) == len(set(named))
    ranges = re.findall(r"`(\w+)(\d)` … `\1(\d)`", section("Models by name"))
    between = {f"{stem}{number}" for stem, low, high in ranges for number in range(int(low), int(high))}
    assert set(named) | between == set(keras_cam.list_models())


def test_every_file_in_a_link_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_every_make_command_exists():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    commands = set(re.findall(r"\bmake ([a-z-]+)    #", README))
    assert commands == {"demo", "test"}
    assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)


@pytest.mark.parametrize("row", STATED, ids=lambda row: f"{row.page}: {row.text[:30]}")
def test_a_page_states_what_make_figures_compares(row):
    """The page has the text, whatever its figures are."""
    rate = r"[\d.]+ %"
    pattern = re.sub(r"\\\{\w+_interval\\\}", lambda _: rf"{rate} \[{rate}, {rate}\]", re.escape(row.text))
    pattern = re.sub(r"\\\{\w+\\\}", lambda _: rate, pattern)
    assert re.search(pattern, " ".join((REPOSITORY / row.page).read_text(encoding="utf-8").split()))
