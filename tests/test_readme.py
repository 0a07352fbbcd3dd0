"""What the README says is true: its examples run, its names exist."""

import re
from pathlib import Path

import keras
import pytest

import keras_cam

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
def namespace(examples):
    """The names after the first example, which localizes the cat."""
    names = {}
    exec(compile(examples[0], "README.md", "exec"), names)
    return names


def test_the_first_example_finds_the_cat(examples, capsys):
    exec(compile(examples[0], "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"Egyptian cat \d+\.\d%: x \d+ to \d+, y \d+ to \d+", lines[0])


def test_the_second_example_localizes_a_classifier_of_ones_own(examples, namespace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(examples) == 2
    exec(compile(examples[1], "README.md", "exec"), namespace)
    localizer = keras.models.load_model("localizer.keras")
    assert localizer.output["class_activation_maps"].shape == (None, 3, 16, 16)


def test_the_table_of_outputs_names_them_all(namespace):
    out = namespace["out"]
    described = {name.strip("`"): kind for name, kind, _ in table_rows("In Python")}
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
