"""Two looks: classes that differ in a small object, which is lost in the whole image."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from coco_files import write_coco
from keras_cam.applications.discovery.cropped_image import CroppedImage
from keras_cam.applications.discovery.fine_grained import (
    CAM_BOX,
    FULL_IMAGE,
    TRUE_BOX,
    FineGrainedComparison,
    boxes_of_classes,
    compare_crops,
    crops,
    stratified_folds,
)
from keras_cam.applications.features import LinearSvm, attach, backbone_of
from keras_cam.cli import main as cli
from keras_cam.cli.commands import finegrained
from keras_cam.data import AnnotatedImage, AnnotatedImages, read_annotations
from keras_cam.localizer import build_localizer


@pytest.fixture(scope="module")
def network():
    """Its features are colours in cells of 4 pixels."""
    images = keras.Input((32, 32, 3))
    features = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(features)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Red and green birds, squares of 16 pixels, before a wall of any colour that is darker than they are."""
    root = tmp_path_factory.mktemp("birds")
    rng = np.random.default_rng(0)
    images = {}
    for number in range(40):
        kind = number % 2
        pixels = np.tile(rng.integers(0, 90, 3).astype(np.uint8), (64, 64, 1))
        x, y = (int(value) for value in rng.integers(0, 48, 2))
        pixels[y : y + 16, x : x + 16] = np.eye(3)[kind] * 255
        Image.fromarray(pixels).save(root / f"{number}.png")
        images[f"{number}.png"] = (64, 64), [(("red", "green")[kind], [x, y, 16, 16])]
    write_coco(root / "annotations.json", images, ["red", "green"])
    return root


def red_localizer(network):
    """Its maps are the red channel for one class, the green one for the other."""
    kernel = np.array([[1, 0], [0, 1], [0, 0]], "float32")
    svm = LinearSvm(kernel, np.zeros(2, "float32"), ("red", "green"), 1.0)
    return build_localizer(attach(svm, backbone_of(network)), class_ids="input", threshold=0.5)


def test_a_crop_is_the_box_with_its_margin_inside_the_image(tmp_path):
    pixels = np.arange(20 * 30 * 3).reshape(20, 30, 3).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    photo = AnnotatedImage("photo", str(tmp_path / "photo.png"), 0, (0,))
    np.testing.assert_array_equal(CroppedImage(photo, (5, 2, 15, 12)).read(), pixels[2:12, 5:15])
    np.testing.assert_array_equal(CroppedImage(photo, (5, 2, 15, 12), 0.2).read(), pixels[0:14, 3:17])
    assert CroppedImage(photo, (29.9, 19.9, 29.95, 19.95)).read().shape == (1, 1, 3)
    assert CroppedImage(photo, (-5, -5, 99, 99)).read().shape == (20, 30, 3)


def test_boxes_are_those_of_the_asked_class_or_the_whole_image(network, tmp_path):
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[16:32, 32:64, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "red.png")
    images = tuple(AnnotatedImage(str(n), str(tmp_path / "red.png"), 0, (0,)) for n in range(2))
    annotated = AnnotatedImages("red", ("red", "green"), images)
    boxes = boxes_of_classes(red_localizer(network), annotated, np.array([0, 1]), batch_size=1)
    np.testing.assert_allclose(boxes, [[32, 16, 64, 32], [0, 0, 128, 64]], atol=9)
    cropped = crops(annotated, boxes, margin=0)
    assert [image.label for image in cropped] == [0, 0]
    assert cropped[1].read().shape == (64, 128, 3)


def test_the_second_look_sees_what_the_first_could_not(network, folder):
    annotated = read_annotations(folder)
    folds = stratified_folds(annotated.labels, folds=2)
    seen = []
    comparison = compare_crops(
        backbone_of(network),
        annotated,
        folds,
        margin=0,
        localizer_options={"threshold": 0.7},  # the wall is up to a third as bright
        on_image=lambda: seen.append(1),
    )
    assert len(seen) == 4 * 40
    assert comparison.mean(TRUE_BOX)[0] == 1
    assert comparison.mean(CAM_BOX)[0] > comparison.mean(FULL_IMAGE)[0]
    assert len(comparison.iou_over_half) == 2


def test_unreadable_images_are_left_out_and_boxes_are_optional(network, folder, tmp_path):
    images = [
        AnnotatedImage(
            image.name, str(tmp_path) if image.name == "7" else image.image, image.label, image.labels
        )
        for image in read_annotations(folder)
    ]
    annotated = AnnotatedImages("birds", ("red", "green"), tuple(images))
    folds = [(np.arange(0, 40, 2) // 4 * 4 + np.arange(20) % 2, np.arange(2, 40, 4))]
    comparison = compare_crops(backbone_of(network), annotated, folds)
    assert set(comparison.accuracies) == {FULL_IMAGE, CAM_BOX}
    assert comparison.iou_over_half == []


def test_intervals_are_students():
    comparison = FineGrainedComparison({FULL_IMAGE: [0.5, 0.6, 0.7], CAM_BOX: [0.6, 0.8, 0.7]})
    mean, half_width = comparison.mean(FULL_IMAGE)
    # s = 0.1, t(2 degrees of freedom) = 4.3027
    assert (mean, half_width) == pytest.approx((0.6, 4.3027 * 0.1 / 3**0.5), abs=1e-4)
    assert comparison.gain(CAM_BOX, over=FULL_IMAGE)[0] == pytest.approx(0.1)


@pytest.mark.slow
def test_the_command_prints_the_rows(network, folder, tmp_path, capsys):
    network.save(tmp_path / "network.keras")
    arguments = [
        "finegrained",
        "--data",
        str(folder),
        "--model",
        str(tmp_path / "network.keras"),
        "--folds",
        "2",
    ]
    assert cli.main([*arguments, "--json", "--picture", str(tmp_path / "crops.png")]) == 0
    with Image.open(tmp_path / "crops.png") as picture:
        assert picture.size == (1140, 648)  # six images and their crops, four to a row
    figures = json.loads(capsys.readouterr().out)
    assert set(figures["accuracy"]) == {FULL_IMAGE, CAM_BOX, TRUE_BOX}
    assert len(figures["accuracy"][CAM_BOX]["folds"]) == 2
    assert cli.main([*arguments, "--limit", "20", "--locator", arguments[4]]) == 0
    out = capsys.readouterr().out
    assert "ground-truth box" in out
    assert "IoU" in out
    assert cli.main([*arguments, "--picture", "crops.jpg"]) == 2
    assert "--picture must end in .png" in capsys.readouterr().err


def test_classes_of_several_splits_are_one_class_by_name(tmp_path):
    for place in ("train/cat", "train/dog", "test/dog"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / place / "1.png")
    split = ["test", "train"]
    args = SimpleNamespace(allow_outside=False, data=str(tmp_path), split=split, limit=None, range=None)
    annotated = finegrained.read_splits(args)
    assert annotated.class_names == ("cat", "dog")
    assert [image.name for image in annotated] == ["0/dog/1.png", "1/cat/1.png", "1/dog/1.png"]
    assert annotated.labels.tolist() == [1, 0, 1]
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "wolf")
    with pytest.raises(ValueError, match="not one class of it: 'wolf'"):
        finegrained.read_splits(args)
