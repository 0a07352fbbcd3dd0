"""Objects of scenes that are recognized by a colour, where all shares can be worked out by hand."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from coco_files import write_coco
from keras_cam.applications.discovery.informative_objects import (
    draw_informative_objects,
    informative_objects,
    object_shares,
    scenes_of_folders,
)
from keras_cam.cli import main as cli
from keras_cam.data import AnnotatedImage, read_annotations
from keras_cam.layers import ClassLabels

RED, BLUE = 0, 2
# A scene is a stripe of its colour, x 8 to 24 of 64 pixels, from top to bottom: with a threshold of one half
# the region of high activation is that stripe, a quarter of the image.
CUP, WALL, CHAIR = ("cup", [8, 0, 16, 32]), ("wall", [0, 0, 64, 64]), ("chair", [32, 32, 16, 16])
IMAGES = [
    ("kitchen/1.png", RED, [CUP, WALL]),
    ("kitchen/2.png", RED, [WALL, CHAIR]),
    ("kitchen/3.png", BLUE, [CHAIR]),
    ("street/4.png", BLUE, [CHAIR, ("cup", [8, 0, 16, 16]), ("cup", [8, 8, 16, 8])]),
]
CATEGORIES = ["chair", "cup", "wall"]


@pytest.fixture(scope="module")
def classifier():
    """A kitchen is red, a street is blue, in cells of 8 pixels."""
    images = keras.Input((64, 64, 3))
    features = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(images))
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(images, ClassLabels(["garden", "kitchen", "street"], name="labels")(logits))
    kernel = np.zeros((3, 3), "float32")
    kernel[RED, 1] = kernel[BLUE, 2] = 1
    model.layers[-2].set_weights([kernel, np.array([-9, 0, 0], "float32")])
    return model


@pytest.fixture
def folder(tmp_path):
    images = {}
    for file, channel, objects in IMAGES:
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[:, 8:24, channel] = 250
        (tmp_path / file).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / file)
        images[file] = (64, 64), objects
    write_coco(tmp_path / "objects.json", images, CATEGORIES)
    return tmp_path


def test_shares_are_those_of_the_predicted_scene(classifier, folder):
    seen = []
    found = informative_objects(
        classifier,
        read_annotations(folder),
        threshold=0.5,
        top=1,
        batch_size=3,
        on_image=lambda: seen.append(1),
    )
    assert len(seen) == 4
    assert list(found.scenes) == ["kitchen", "street"]
    kitchen, street = found.scenes.values()
    assert (kitchen.images, street.images) == (2, 2)
    cup = kitchen.shares["cup"]
    assert (cup.images, cup.mean_of_region, cup.mean_of_image) == (1, 0.5, 0.125)
    assert kitchen.gain("cup") == (0.5 - 0.125) / 2
    assert kitchen.gain("wall") == 0  # all of the region, as of anything
    assert kitchen.gain("chair") == -(1 / 16) / 2
    assert kitchen.ranked() == ["cup", "wall", "chair"]
    assert street.shares["cup"].mean_of_region == 0.25  # what two cups share counts once
    assert street.shares["chair"].images == 2
    assert len(kitchen.best) == len(street.best) == 1


def test_scenes_can_be_those_of_the_folders(classifier, folder):
    annotated = read_annotations(folder)
    scenes = scenes_of_folders(annotated, ["garden", "kitchen", "street"])
    assert scenes.tolist() == [1, 1, 1, 2]
    found = informative_objects(classifier, annotated, scenes, threshold=0.5)
    # The third image has nothing red: there is no region, and its map is nowhere positive.
    assert (found.scenes["kitchen"].images, found.scenes["street"].images) == (2, 1)
    assert found.scenes["kitchen"].shares["chair"].images == 1
    only = informative_objects(classifier, annotated, [-1, 1, -1, -1], threshold=0.5)
    assert {name: scene.images for name, scene in only.scenes.items()} == {"kitchen": 1}
    with pytest.raises(ValueError, match=r"one class for each of the 4 images. Received: 1"):
        informative_objects(classifier, annotated, [1])
    with pytest.raises(ValueError, match="Received: threshold=1"):
        informative_objects(classifier, annotated, threshold=1)


def test_outlines_count_where_they_are_known(folder):
    document = json.loads((folder / "objects.json").read_text())
    square, below = [8, 0, 16, 0, 16, 8, 8, 8], [8, 8, 12, 8, 12, 16, 8, 16]
    document["annotations"][0]["segmentation"] = [square, below]  # 96 pixels of a box of 512
    document["annotations"][1]["segmentation"] = {"counts": [0, 4096], "size": [64, 64]}
    document["annotations"][2]["segmentation"] = [[1, 2, 3, 4]]
    (folder / "objects.json").write_text(json.dumps(document))
    annotated = read_annotations(folder)
    [problem] = annotated.problems
    assert "at least three corners" in str(problem)
    assert [len(outline) for outline in annotated[0].outlines] == [2, 0]
    assert annotated[1].outlines == ()
    activation_map = np.zeros((64, 64))
    activation_map[:, 8:24] = 1
    shares = object_shares(annotated[0], (64, 64), activation_map)
    assert shares == {1: (96 / 1024, 96 / 4096), 2: (1, 1)}


def test_a_map_that_is_nowhere_positive_has_no_region():
    image = AnnotatedImage("1", "1.png", 0, (0,), np.array([[0, 0, 4, 4]], "float32"), np.array([0]))
    assert object_shares(image, (8, 8), np.full((2, 2), -1.0)) is None


def test_broken_images_are_told(classifier, folder):
    (folder / "street" / "4.png").write_bytes(b"broken")
    found = informative_objects(classifier, read_annotations(folder), threshold=0.5)
    [failure] = found.failures
    assert "4.png" in failure
    assert found.scenes["street"].images == 1


def test_the_picture_has_a_row_for_each_scene(classifier, folder):
    found = informative_objects(classifier, read_annotations(folder), threshold=0.5, top=2)
    picture = draw_informative_objects(found.scenes, CATEGORIES)
    assert picture.shape == (2 * 270 + 3 * 12, 2 * 360 + 3 * 12, 3)


def test_the_command_prints_the_objects_and_draws_them(classifier, folder, capsys):
    classifier.save(folder / "scenes.keras")
    command = ["objects", "--data", str(folder), "--model", str(folder / "scenes.keras")]
    command += ["--threshold", "0.5", "--output", str(folder / "out")]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "kitchen (2 images)" in out
    [cup] = [line.split() for line in out.split("street")[0].splitlines() if "cup" in line]
    assert cup == ["cup", "1", "(50%)", "50.0%", "12.5%", "4.00", "+18.8%"]
    with Image.open(folder / "out" / "objects.png") as picture:
        assert picture.size[1] > 500
    assert cli.main([*command, "--scenes", "folders", "--json", "--top", "1"]) == 0
    kitchen, street = map(json.loads, capsys.readouterr().out.splitlines())
    assert kitchen["scene"] == "kitchen"
    assert [one["object"] for one in kitchen["objects"]] == ["cup"]
    assert street["images"] == 1


def test_the_command_says_what_is_wrong(classifier, folder, capsys):
    classifier.save(folder / "scenes.keras")
    command = ["objects", "--data", str(folder), "--model", str(folder / "scenes.keras")]
    for name in ("kitchen", "street"):
        (folder / name).rename(folder / f"my {name}")
    text = (folder / "objects.json").read_text().replace("kitchen/", "my kitchen/")
    (folder / "objects.json").write_text(text.replace("street/", "my street/"))
    assert cli.main([*command, "--scenes", "folders"]) == 2
    err = capsys.readouterr().err
    assert "4 images lie in no folder with the name of a class" in err
    assert "There must be an image of a scene" in err
