"""The paper's eight benchmarks: tiny copies of their layouts, whose classes are colours."""

import json

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from keras_cam.applications.features import FeatureTable, backbone_of, extract_features, run_benchmark
from keras_cam.applications.features.benchmark_images import Attributes
from keras_cam.applications.features.benchmarks import BENCHMARKS, read_benchmark
from keras_cam.cli import main as cli
from keras_cam.cli.commands.benchmark import NAMES
from keras_cam.data import AnnotationError, ProblemKind

COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


def draw(path, colour, seed=0):
    """An image of nearly one colour, unlike any other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([seed, *map(ord, path.name)]).integers(-30, 31, (8, 8, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)


def draw_folders(root, names, images):
    for name, colour in zip(names, COLOURS, strict=False):
        for number in range(images):
            draw(root / name / f"image_{number:04}.jpg", colour)


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def backbone():
    """Its features are the mean colours."""
    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    return backbone_of(keras.Model(images, keras.layers.Dense(2)(pooled)))


def result_of(data, backbone, costs=(0.01,)):
    return run_benchmark(data, extract_features(backbone, data.images), costs)


@pytest.fixture
def sun397(tmp_path):
    names = ("a/abbey", "a/apartment_building/outdoor", "z/zoo")
    (tmp_path / "SUN397").mkdir()
    write_lines(tmp_path / "SUN397" / "ClassName.txt", [f"/{name}" for name in names])
    for name, colour in zip(names, COLOURS, strict=True):
        for number in range(6):
            draw(tmp_path / "SUN397" / name / f"sun_{number}.jpg", colour)
    for run in range(1, 11):
        order = np.random.default_rng(run).permutation(6)
        for part, numbers in (("Training", order[:3]), ("Testing", order[3:])):
            lines = [f"/{name}/sun_{number}.jpg" for name in names for number in numbers]
            write_lines(tmp_path / "Partitions" / f"{part}_{run:02}.txt", lines)
    return tmp_path


@pytest.fixture
def indoor67(tmp_path):
    draw_folders(tmp_path / "Images", ("airport_inside", "wine cellar"), 5)
    for file, numbers in (("TrainImages.txt", range(3)), ("TestImages.txt", range(3, 5))):
        names = ("airport_inside", "wine cellar")
        write_lines(tmp_path / file, [f"{name}/image_{n:04}.jpg" for name in names for n in numbers])
    return tmp_path


@pytest.fixture
def action40(tmp_path):
    actions = ("applauding", "brushing_teeth", "waving_hands")
    for action, colour in zip(actions, COLOURS, strict=True):
        for number in range(5):
            draw(tmp_path / "JPEGImages" / f"{action}_{number:03}.jpg", colour)
        for part, numbers in (("train", (0, 2, 3)), ("test", (1, 4))):
            lines = [f"{action}_{number:03}.jpg" for number in numbers]
            write_lines(tmp_path / "ImageSplits" / f"{action}_{part}.txt", lines)
    write_lines(tmp_path / "ImageSplits" / "actions.txt", ["action_name\tnumber"])
    write_lines(tmp_path / "ImageSplits" / "train.txt", ["not_to_be_read_001.jpg"])
    return tmp_path


def cells(strings):
    """A column of MATLAB cells."""
    column = np.empty((len(strings), 1), object)
    column[:, 0] = strings
    return column


@pytest.fixture
def sun_attribute(tmp_path):
    """Red images are warm; every third is so for one person of three only. Half of all are open."""
    names, votes = [], []
    for number in range(36):
        name = f"{'ab'[number % 2]}/{('abbey', 'beach')[number % 2]}/sun_{number}.jpg"
        warm = number % 4 < 2
        draw(tmp_path / "images" / name, COLOURS[0] if warm else COLOURS[2])
        names.append(name)
        votes.append([(1 / 3 if number % 3 == 0 else 2 / 3) if warm else 0, number % 2])
    database = tmp_path / "SUNAttributeDB"
    database.mkdir()
    savemat(database / "images.mat", {"images": cells(names)})
    savemat(database / "attributes.mat", {"attributes": cells(["warm", "open area"])})
    savemat(database / "attributeLabels_continuous.mat", {"labels_cv": np.array(votes)})
    return tmp_path


def test_sun397_has_the_ten_published_partitions(sun397, backbone):
    data = read_benchmark("sun397", sun397)
    assert data.images.class_names == ("a/abbey", "a/apartment_building/outdoor", "z/zoo")
    assert len(data.images) == 18
    assert len(data.splits) == 10
    listed = (sun397 / "Partitions" / "Testing_07.txt").read_text().split()
    assert [f"/{name}" for name in data.splits[6].test] == listed
    result = result_of(data, backbone)
    np.testing.assert_array_equal(result.by_class, np.ones((10, 3)))
    assert len(read_benchmark("sun397", sun397, runs=2).splits) == 2


def test_indoor67_has_one_published_split(indoor67, backbone):
    data = read_benchmark("indoor67", indoor67)
    [split] = data.splits
    assert (len(split.train), len(split.test)) == (6, 4)
    assert "wine cellar/image_0004.jpg" in split.test
    assert result_of(data, backbone).overall.tolist() == [1]


def test_action40_has_a_list_for_each_action(action40, backbone):
    data = read_benchmark("action40", action40)
    assert data.images.class_names == ("applauding", "brushing_teeth", "waving_hands")
    [split] = data.splits
    assert split.test[:2] == ("applauding_001.jpg", "applauding_004.jpg")
    assert result_of(data, backbone).names == data.images.class_names


@pytest.mark.parametrize(
    ("name", "folder", "excluded", "images", "train", "test"),
    [
        ("scene15", "scene_categories", None, 103, 100, 3),
        ("caltech101", "101_ObjectCategories", "BACKGROUND_Google", 85, 30, 50),
        ("caltech256", "256_ObjectCategories", "257.clutter", 65, 60, 5),
        ("event8", "event_dataset", None, 135, 70, 60),
    ],
)
def test_folders_are_split_at_random_with_the_usual_numbers(
    tmp_path, name, folder, excluded, images, train, test, backbone
):
    draw_folders(tmp_path / folder, ("001.ak47", "faces"), images)
    if excluded:
        draw_folders(tmp_path / folder, (excluded,), 1)
    data = read_benchmark(name, tmp_path)
    assert len(data.images) == 2 * images
    assert len(data.splits) == 10
    for split in data.splits:
        assert (len(split.train), len(split.test)) == (2 * train, 2 * test)
        assert not set(split.train) & set(split.test)
        assert sum(image.startswith("faces") for image in split.train) == train
    assert len({split.train for split in data.splits}) == 10
    again = read_benchmark(name, tmp_path / folder, runs=2)
    assert again.splits == data.splits[:2]
    assert result_of(again, backbone).names == ("001.ak47", "faces")


def test_sun_attributes_are_told_apart_one_by_one(sun_attribute, backbone):
    data = read_benchmark("sun_attribute", sun_attribute)
    assert data.images.class_names == ("a/abbey", "b/beach")
    assert data.attributes.names == ("warm", "open area")
    result = result_of(data, backbone)
    assert result.measure == "average precision"
    assert result.by_class.shape == (5, 2)
    assert result.by_class[:, 0].mean() == 1  # the colour says it
    assert result.by_class[:, 1].mean() < 0.95  # nothing does


def test_attributes_with_one_vote_are_not_used():
    votes = np.repeat([[0.0], [1 / 3], [2 / 3], [1.0]], 4, axis=0)
    attributes = Attributes(("open",), tuple("abcdefghijklmnop"), votes)
    split, positives = attributes.split(0, train=2, test=1, seed=0)
    assert positives == set("ijklmnop")
    assert len(positives & set(split.train)) == len(set("abcd") & set(split.train)) == 2
    assert len(positives & set(split.test)) == len(set("abcd") & set(split.test)) == 1
    rare, _ = attributes.split(0, train=150, test=50, seed=0)  # four without it: three and one
    assert (len(rare.train), len(rare.test)) == (6, 2)
    with pytest.raises(AnnotationError, match="Found: 1 and 0 of 'open'"):
        Attributes(("open",), ("a",), np.ones((1, 1))).split(0, 1, 1, 0)


def test_the_figure_is_the_mean_of_classes(tmp_path):
    """Of nine zoos all are right, of one abbey none: 50 % of classes, 90 % of images."""
    write_lines(tmp_path / "TrainImages.txt", ["zoo/0.jpg", "zoo/1.jpg", "abbey/0.jpg", "abbey/1.jpg"])
    write_lines(tmp_path / "TestImages.txt", ["abbey/2.jpg", *(f"zoo/{n}.jpg" for n in range(2, 11))])
    names = [f"zoo/{n}.jpg" for n in range(11)] + [f"abbey/{n}.jpg" for n in range(3)]
    for name in names:
        draw(tmp_path / "Images" / name, COLOURS[0])
    data = read_benchmark("indoor67", tmp_path)
    vectors = np.array([[1.0] if name.startswith("zoo") or "2" in name else [-1.0] for name in names])
    labels = np.array([int(name.startswith("zoo")) for name in names])
    table = FeatureTable(tuple(names), vectors, labels, ("abbey", "zoo"))
    result = run_benchmark(data, table, costs=[1.0])
    assert result.by_class.tolist() == [[0, 1]]
    assert (result.runs.tolist(), result.overall.tolist()) == ([0.5], [0.9])


def test_missing_images_are_told_and_left_out(indoor67, backbone):
    (indoor67 / "Images" / "wine cellar" / "image_0004.jpg").unlink()
    (indoor67 / "Images" / "wine cellar" / "image_0003.jpg").write_bytes(b"broken")
    data = read_benchmark("indoor67", indoor67)
    [problem] = data.images.problems
    assert "image_0004.jpg" in str(problem)
    table = extract_features(backbone, data.images)
    assert len(table.failures) == 1
    assert run_benchmark(data, table, [0.01]).names == ("airport_inside",)


def test_what_is_missing_is_named_with_what_is_there(tmp_path, sun_attribute):
    with pytest.raises(AnnotationError, match=r"must have the folder scene_categories. Found: SUNAttr"):
        read_benchmark("scene15", sun_attribute)
    with pytest.raises(AnnotationError, match=r"nowhere must have the folder SUN397. Found: no such folder"):
        read_benchmark("sun397", tmp_path / "nowhere")
    (sun_attribute / "SUNAttributeDB" / "attributes.mat").write_bytes(b"broken")
    with pytest.raises(AnnotationError, match=r"attributes.mat must be a MATLAB file with the variable"):
        read_benchmark("sun_attribute", sun_attribute)
    savemat(sun_attribute / "SUNAttributeDB" / "attributes.mat", {"attributes": cells(["warm"])})
    with pytest.raises(
        AnnotationError, match=r"36 images and a column for each of the 1 attributes.*\(36, 2"
    ):
        read_benchmark("sun_attribute", sun_attribute)


def test_lists_name_no_images_outside_of_their_folder(indoor67, tmp_path):
    with open(indoor67 / "TestImages.txt", "a") as file:
        file.write("../outside.jpg\n")
    draw(tmp_path / "outside.jpg", COLOURS[0])
    [problem] = read_benchmark("indoor67", indoor67).images.problems
    assert problem.kind is ProblemKind.OUTSIDE_FOLDER


def test_missing_lists_and_small_classes_are_named(indoor67, tmp_path):
    (indoor67 / "TestImages.txt").unlink()
    with pytest.raises(AnnotationError, match=r"must have the file TestImages.txt. Found: Images, TrainIma"):
        read_benchmark("indoor67", indoor67)
    draw_folders(tmp_path / "101_ObjectCategories", ("crab",), 4)
    with pytest.raises(AnnotationError, match=r"more than 30 images of each class. Found: 4 of 'crab'"):
        read_benchmark("caltech101", tmp_path)


def test_arguments_that_do_not_fit_are_refused(sun397):
    with pytest.raises(ValueError, match=r"must be one of .*'event8'.* Received: name='sun'"):
        read_benchmark("sun", sun397)
    with pytest.raises(ValueError, match=r"whose splits are published. Received: train=5"):
        read_benchmark("sun397", sun397, train=5)
    with pytest.raises(ValueError, match=r"at most 10 for SUN397.*Received: runs=11"):
        read_benchmark("sun397", sun397, runs=11)
    with pytest.raises(ValueError, match=r"at least 1. Received: train=-1, runs=None"):
        read_benchmark("caltech101", sun397, train=-1)


def test_the_command_knows_every_benchmark():
    assert tuple(BENCHMARKS) == NAMES


def test_the_command_prints_figures(tmp_path, backbone, capsys):
    network = tmp_path / "network.keras"
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    keras.Model(backbone.input, keras.layers.Dense(2)(pooled)).save(network)
    draw_folders(tmp_path / "event_dataset", ("bocce", "polo"), 8)
    arguments = ["benchmark", "event8", "--data", str(tmp_path), "--model", str(network)]
    arguments += ["--train-per-class", "5", "--runs", "3"]
    assert cli.main([*arguments, "--json", "--features", str(tmp_path / "features.npz")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["model"], figures["runtime"]) == (str(network), "tensorflow")
    assert figures["runs"] == [1, 1, 1]
    assert (figures["mean"], figures["standard_deviation"]) == (1, 0)
    assert figures["by_class"] == {"bocce": 1, "polo": 1}
    assert len(FeatureTable.load(tmp_path / "features.npz")) == 16
    assert cli.main(arguments) == 0
    assert "100.00% ± 0.00%" in capsys.readouterr().out
    (tmp_path / "event_dataset" / "polo" / "image_0000.jpg").write_bytes(b"broken")
    assert cli.main(arguments) == 1
    assert "image_0000.jpg" in capsys.readouterr().err
    assert cli.main(["benchmark", "scene15", "--data", str(tmp_path)]) == 2
    assert "must have the folder scene_categories" in capsys.readouterr().err
