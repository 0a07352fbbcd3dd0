"""Who may import whom, and what a plain `import keras_cam` brings along."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import keras
import pytest

import keras_cam
from keras_cam import layers as keras_cam_layers
from processes import run_python

REPOSITORY = Path(__file__).parent.parent
FOLDERS = {"keras_cam": "keras_cam", "keras_cam.training": "training", "keras_cam.export": "export"}
SOURCES = {
    ".".join((package, *path.relative_to(REPOSITORY / folder).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for package, folder in FOLDERS.items()
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
}

# From the bottom to the top: a module imports what stands in its own line or in an earlier one.
LAYERS = [
    {
        "_registration",
        "check_finite",
        "checksum",
        "check_labels",
        "formats",
        "images",
        "plain_text",
        "progress",
        "recipes",
    },
    {"ops"},
    {"layers"},
    {"map_methods"},
    {"graph"},
    {"models"},
    {"localizer"},
    {"annotations", "drawing", "inference"},
    {"data", "metrics", "shards"},
    {"callbacks", "evaluation"},
    {"export", "training"},
    {"applications"},
    {"cli"},
]


def layer_of(module):
    part = module.split(".")[1]
    levels = [level for level, parts in enumerate(LAYERS) if part in parts]
    assert levels, f"{module} has no place in LAYERS yet"
    return levels[0]


@cache
def imports(module):
    """(name, line) of everything a module imports, at its top or inside of functions."""
    found = []
    for node in ast.walk(ast.parse(SOURCES[module].read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            found.append((node.module, node.lineno))
    return found


def all_imports():
    """(module, name, line) of everything that is imported."""
    return [(module, *found) for module in SOURCES for found in imports(module)]


def test_a_module_imports_only_from_its_own_layer_and_below():
    for module, name, line in all_imports():
        if module != "keras_cam" and name.startswith(
            "keras_cam."
        ):  # the package itself only names what is public
            assert layer_of(name) <= layer_of(module), f"{module}:{line} imports {name}"


def test_training_and_export_are_not_known_to_the_library():
    for module, name, line in all_imports():
        if module.startswith(("keras_cam.cli.", "keras_cam.applications.")):
            continue  # these are above them
        for part in ("keras_cam.training", "keras_cam.export"):
            inside = f"{module}.".startswith(f"{part}.")
            assert inside or not f"{name}.".startswith(f"{part}."), f"{module}:{line} imports {name}"


def test_no_module_is_shadowed_by_what_its_package_exports():
    """`import package.module as m` gives the module, and `package.name` what the package says it has."""
    for package, path in SOURCES.items():
        if path.name == "__init__.py":
            parent = importlib.import_module(package)
            modules = {path.stem for path in path.parent.glob("*.py")} - {"__init__"}
            for name in modules & set(getattr(parent, "__all__", ())):
                assert getattr(parent, name) is importlib.import_module(f"{package}.{name}")


@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_programs_import_what_there_is(folder):
    for path in sorted((REPOSITORY / folder).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "keras_cam":
                package = importlib.import_module(node.module)
                for name in (alias.name for alias in node.names):
                    known = hasattr(package, name) or f"{node.module}.{name}" in SOURCES
                    assert known, f"{path.name}:{node.lineno} imports {name}"


PRIVATE_OF_KERAS = re.compile(
    r"\._(keras_history|inbound_nodes|outbound_nodes|nodes_by_depth|flatten_layers|symbolic_build"
    r"|trainable_variables|model_variables_moving_average)\b"
)


def test_what_is_private_of_keras_is_behind_one_fence():
    outside = set(SOURCES) - {"keras_cam.graph.keras_internals"}
    assert [name for name in outside if PRIVATE_OF_KERAS.search(SOURCES[name].read_text())] == []


def test_tensorflow_itself_is_imported_only_with_a_reason():
    """A comment at the import says why, or the module's docstring does."""
    for module, name, line in all_imports():
        if name.partition(".")[0] == "tensorflow":
            source = SOURCES[module].read_text()
            commented = any("#" in text for text in source.splitlines()[line - 2 : line])
            assert commented or "TensorFlow" in ast.get_docstring(ast.parse(source)), f"{module}:{line}"


def test_importing_the_package_is_light():
    heavy = {"keras", "tensorflow", "matplotlib", "cv2"}
    result = run_python("-c", f"import sys, keras_cam; print(sorted({heavy} & set(sys.modules)))")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def saved_localizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "localizer.keras"
    model = keras_cam.build_model("alexnet_gap", classes=2, input_shape=(67, 67, 3), head_filters=8)
    keras_cam.build_localizer(model).save(path)
    return path


@pytest.mark.slow  # TensorFlow starts three times
@pytest.mark.parametrize(
    "first", ["import keras_cam, keras", "import keras, keras_cam", "import keras_cam.layers, keras"]
)
def test_a_saved_localizer_loads_in_whatever_order_the_two_are_imported(first, saved_localizer):
    code = f"import sys\n{first}\nprint(keras.models.load_model(sys.argv[1]).name)"
    result = run_python("-c", code, saved_localizer)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-1] == "localizer"


def test_public_names_are_found_and_others_are_refused():
    for name in keras_cam.__all__:
        assert getattr(keras_cam, name) is not None
    assert dir(keras_cam) == sorted(keras_cam.__all__)
    with pytest.raises(AttributeError, match="No keras_cam attribute build_localiser"):
        keras_cam.build_localiser  # noqa: B018


@pytest.mark.parametrize("layer", keras_cam_layers.__all__)
def test_layers_are_registered_under_the_name_of_the_package(layer):
    assert keras.saving.get_registered_object(f"keras_cam>{layer}") is getattr(keras_cam_layers, layer)
