"""Thousands of damaged files of each format give a right result or one line: `make sweep`."""

from dataclasses import dataclass

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data
from test_data_layouts import WRITERS, voc_xml
from test_data_tables import boxes, encoded, write_records

import keras_cam
from damage import damaged
from keras_cam import load_localizer
from keras_cam.data import AnnotationError, read_annotations
from keras_cam.export import save_litert, save_onnx
from keras_cam.images.files import ImageError, read_image
from keras_cam.inference.checked_outputs import checked_outputs
from keras_cam.models.labels import read_labels
from keras_cam.training.checkpoints import Checkpoints
from keras_cam.training.config import ConfigError
from keras_cam.training.run_folder import RunFolder
from processes import call_in_processes

pytestmark = pytest.mark.sweep

SEED, MUTATIONS = 0, 2000


@dataclass
class Answers:
    """What came of damaged files: how many were read, and how many were refused with one line."""

    right: int = 0
    refused: int = 0


def check_is_one_line(error):
    if "\n" in str(error):
        raise AssertionError(f"an error of several lines: {error}")


def mutate(files, read, errors):
    """Damage one of the files, again and again, and read it; what `read` raises must be one line.

    Args:
        files: whole files, which are written again in the end.
        read: reads what the files belong to, and checks what it gets.
        errors: the documented errors.
    """
    rng, answers = np.random.default_rng(SEED), Answers()
    contents = [file.read_bytes() for file in files]
    for _ in range(MUTATIONS):
        chosen, other = rng.integers(len(files), size=2)
        files[chosen].write_bytes(damaged(contents[chosen], contents[other], rng))
        try:
            read()
            answers.right += 1
        except errors as error:
            check_is_one_line(error)
            answers.refused += 1
        files[chosen].write_bytes(contents[chosen])
    assert answers.right > MUTATIONS / 20
    assert answers.refused > MUTATIONS / 20
    return answers


# Images -----------------------------------------------------------------------------------------------------


def write_photo(path):
    photo = Image.fromarray(data.astronaut()).resize((40, 30))
    if path.suffix == ".npy":
        np.save(path, np.moveaxis(np.asarray(photo.convert("CMYK")), -1, 0))
    elif path.name == "bands.tiff":
        tifffile.imwrite(path, np.zeros((30, 40, 5), np.uint16), planarconfig="contig")
    else:
        photo.save(path)


PHOTOS = {"photo.png": 3, "photo.jpg": 3, "photo.tiff": 3, "photo.webp": 3, "bands.tiff": 5, "bands.npy": 4}


@pytest.mark.filterwarnings("ignore::keras_cam.images.files.ImageWarning")
@pytest.mark.parametrize(("name", "channels"), PHOTOS.items())
def test_damaged_photos(name, channels, tmp_path, report_count):
    write_photo(tmp_path / name)

    def read():
        pixels = read_image(tmp_path / name, channels)
        assert pixels.ndim == 3
        assert pixels.shape[-1] == channels
        assert np.all(np.isfinite(pixels))

    answers = mutate([tmp_path / name], read, ImageError)
    report_count(f"damaged {name}, {answers.right:,} of them readable", MUTATIONS)


# Annotations and lists --------------------------------------------------------------------------------------


def write_street_view_text(root):
    Image.new("RGB", (40, 30)).save(root / "a.jpg")
    (root / "train.xml").write_text(
        "<tagset><image><imageName>a.jpg</imageName><taggedRectangles>"
        '<taggedRectangle height="5" width="9" x="2" y="3"><tag>SHOP</tag></taggedRectangle>'
        "</taggedRectangles></image></tagset>"
    )
    return root


def write_pascal(root):
    Image.new("RGB", (40, 30)).save(root / "a.png")
    (root / "a.xml").write_text(voc_xml("cat", (40, 30), [(1, 2, 20, 20), (3, 4, 9, 9)]))
    return root


def write_tf_records(root):
    write_records(
        root / "all.tfrecord",
        {
            "image/encoded": encoded(), "image/class/label": 7, "image/class/text": b"cat",
            **boxes(xmin=[0.25, 0.0], ymin=[0.5, 0.0], xmax=[1.0, 0.5], ymax=[1.0, 0.5]),
        },
        {"image/encoded": encoded((8, 8), kind="JPEG"), "image/class/label": 3, "image/class/text": b"dog"},
    )  # fmt: skip
    return root


# What writes the data set, and the files that are damaged.
ANNOTATIONS = {
    "COCO JSON": (WRITERS["coco folder"], "*.json"),
    "CSV": (WRITERS["csv"], "*.csv"),
    "CUB-200-2011": (WRITERS["cub"], "*.txt"),
    "wsolevaluation": (WRITERS["wsol"], "*.txt"),
    "VOC XML": (write_pascal, "*.xml"),
    "Street View Text": (write_street_view_text, "*.xml"),
    "TFRecord": (write_tf_records, "*.tfrecord"),
}


@pytest.mark.parametrize("layout", ANNOTATIONS)
def test_damaged_annotations(layout, tmp_path, report_count):
    write, pattern = ANNOTATIONS[layout]
    source = write(tmp_path)

    def read():
        annotated = read_annotations(source)
        assert len(annotated) > 0
        for problem in annotated.problems:
            assert "\n" not in f"{problem.item}{problem.detail}"
        for image in annotated:
            assert 0 <= image.label < len(annotated.class_names)
            assert np.all(np.isfinite(image.boxes_xyxy))
            assert np.all(image.boxes_xyxy[:, 2:] > image.boxes_xyxy[:, :2])
            assert image.read().shape[-1] == 3

    answers = mutate(sorted(tmp_path.glob(pattern)), read, (AnnotationError, ImageError))
    report_count(f"damaged files of {layout}, {answers.right:,} of them readable", MUTATIONS)


def test_damaged_lists_of_labels(tmp_path, report_count):
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    answers = mutate([tmp_path / "labels.txt"], lambda: read_labels(tmp_path / "labels.txt"), ValueError)
    report_count(f"damaged lists of labels, {answers.right:,} of them readable", MUTATIONS)


# Models -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def localizer(colour_classifier):
    return keras_cam.build_localizer(colour_classifier, labels=["red", "green", "blue"])


MODELS = {"keras": lambda model, path: model.save(path), "tflite": save_litert, "onnx": save_onnx}


def answer(path):
    return load_localizer(path).localize(np.zeros((1, 32, 32, 3), np.float32))


def try_damaged_models(path, numbers):
    """Load and run damaged copies; in a process of its own, for native code may crash."""
    content, expected, answers = path.read_bytes(), answer(path), Answers()
    for number in numbers:
        rng = np.random.default_rng(number)
        copy = path.with_name(f"{number}{path.suffix}")
        copy.write_bytes(damaged(content, content, rng))
        try:
            found = checked_outputs(answer(copy), 1, 3)
            for name, values in found.items():
                np.testing.assert_array_equal(values, expected[name])
            answers.right += 1
        except ValueError as error:
            check_is_one_line(error)
            answers.refused += 1
        copy.unlink()
    return answers


@pytest.mark.parametrize("form", MODELS)
def test_damaged_models(form, localizer, tmp_path, report_count):
    path = tmp_path / f"colours.{form}"
    MODELS[form](localizer, path)
    batches = [range(start, start + 100) for start in range(SEED, SEED + MUTATIONS, 100)]
    answers = call_in_processes(try_damaged_models, [(path, batch) for batch in batches])
    right = sum(one.right for one in answers)
    assert right + sum(one.refused for one in answers) == MUTATIONS
    assert right > MUTATIONS / 20
    report_count(f"damaged .{form} files, {right:,} of them with the right result", MUTATIONS)


# Runs -------------------------------------------------------------------------------------------------------


def test_damaged_files_of_runs(tmp_path, report_count):
    run = {"config": {"epochs": 3, "model": "alexnet_gap"}, "data": ["a.png", "b.png"]}
    begun = RunFolder(tmp_path)
    begun.claim(run)
    begun.release()

    def claim():
        folder = RunFolder(tmp_path)
        try:
            folder.claim(run)
        finally:
            folder.release()

    answers = mutate([tmp_path / "run.json"], claim, ConfigError)
    report_count(f"damaged run.json, {answers.right:,} of them unharmed", MUTATIONS)


def test_damaged_checkpoints(tmp_path, report_count):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {"step": step}, {"weights": np.full(9, step)})
    newest = checkpoints.paths()[-1]
    content, rng, newer = newest.read_bytes(), np.random.default_rng(SEED), 0
    for _ in range(MUTATIONS):
        newest.write_bytes(damaged(content, content, rng))
        found = checkpoints.latest()
        np.testing.assert_array_equal(found.arrays["weights"], found.state["step"])
        newer += found.state["step"] == 2
    report_count(f"damaged checkpoints, {newer:,} of them unharmed, else the one before", MUTATIONS)
