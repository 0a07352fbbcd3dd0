"""Ten crops localized together, by maps that one can place by hand."""

import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_cam
from keras_cam.cli import main as cli
from keras_cam.inference import Localizer, TenCropLocalizer
from keras_cam.inference.methods import METHODS

GOLDENS = os.environ.get("KERAS_CAM_GOLDENS")


@pytest.fixture
def redness():
    """Class 0 = how red an image of 8 x 8 pixels is, at each pixel; class 1 = how green."""
    images = keras.Input((8, 8, 3))
    features = keras.layers.Rescaling(1 / 255, name="scale")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(images, keras.layers.Dense(2, activation="softmax")(pooled))
    model.layers[-1].set_weights([np.eye(3, 2, dtype="float32"), np.zeros(2, "float32")])
    return keras_cam.load_localizer(model, refine="none")


@pytest.fixture
def images():
    """One image, 12 x 12: the upper left cell of 4 x 4 pixels is red, and the middle one half red."""
    image = np.zeros((1, 12, 12, 3), "float32")
    image[0, :4, :4, 0] = 255
    image[0, 4:8, 4:8, 0] = 127.5
    return image


def test_each_place_counts_as_often_as_crops_show_it(redness, images):
    localizer = TenCropLocalizer(redness, image_size=12)
    maps = localizer.cam(images, [[0, 1]])["class_activation_maps"]
    # The corner is in one of four corner crops and, from its third pixel on, in the centre crop: 2 x 2 of the
    # 16 pixels. The middle is in all four and in the centre crop. Each crop counts twice, mirrored and not.
    expected = np.zeros((3, 3))
    expected[0, 0] = 2 * (1 + 4 / 16)
    expected[1, 1] = 2 * 5 / 2
    np.testing.assert_allclose(maps[0, 0], expected, atol=1e-5)
    assert not maps[0, 1].any()


def test_probabilities_are_means_over_the_crops(redness, images):
    localizer = TenCropLocalizer(redness, image_size=12)
    middle, corner = 16 / 2 / 64, 16 / 64
    logits = np.array([middle + corner, *[middle] * 3, middle + 4 / 64])  # redness of the five crops
    mean = np.mean(1 / (1 + np.exp(-logits)))
    np.testing.assert_allclose(np.exp(localizer.classify(images))[0], [mean, 1 - mean], rtol=1e-5)
    found = localizer.localize(images)
    assert found["detection_classes"].tolist() == [[0, 1]]
    np.testing.assert_allclose(found["detection_scores"][0], [mean, 1 - mean], rtol=1e-5)


def test_grey_images_have_ten_crops():
    images = keras.Input((8, 8, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    model = keras.Model(images, keras.layers.Dense(2, activation="softmax")(pooled))
    localizer = TenCropLocalizer(keras_cam.load_localizer(model, refine="none"), image_size=12)
    [record] = keras_cam.localize(np.full((12, 12), 9, np.uint8), localizer)
    assert record.detections[0].activation_map.shape == (3, 3)


def test_a_mirrored_photo_has_a_mirrored_map(redness, photos):
    localizer = TenCropLocalizer(redness, image_size=12)
    image = photos(1, 12, 12)
    maps, mirrored = (
        localizer.cam(each, [[0]])["class_activation_maps"][0, 0] for each in (image, image[:, :, ::-1])
    )
    assert np.ptp(maps) > 0.1
    np.testing.assert_allclose(mirrored, maps[:, ::-1], atol=1e-4)


def test_larger_images_than_the_whole_are_refused(redness):
    with pytest.raises(ValueError, match=r"at most 7 x 7 pixels.*size_hw=\(8, 8\)"):
        TenCropLocalizer(redness, image_size=7)


@pytest.mark.parametrize("protocol", ["zhou2016", "zhou2016_test", "zhou2016_released"])
def test_the_command_evaluates_ten_crops_by_every_protocol_of_the_paper(protocol, tmp_path, capsys):
    cv2 = pytest.importorskip("cv2")
    model = keras_cam.build_model("mobilenet", classes=2, input_shape=(224, 224, 3))
    model.save(tmp_path / "model.keras")
    cv2.imwrite(str(tmp_path / "photo.png"), np.random.default_rng(0).integers(0, 255, (60, 80, 3)))
    annotations = {
        "images": [{"id": 1, "file_name": "photo.png", "width": 80, "height": 60}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [8, 6, 60, 50]}],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(annotations))
    command = ["evaluate", "--model", tmp_path / "model.keras", "--data", tmp_path / "annotations.json"]
    status = cli.main([*map(str, command), "--method", "ten_crops", "--protocol", protocol, "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert status == 0
    assert figures["images"] == 1
    assert figures["localization_top5_error"] in (0, 1)


def test_the_runtime_is_that_of_the_crops(colour_classifier, tmp_path, photos, monkeypatch):
    monkeypatch.setenv("KERAS_CAM_CONVERTED", str(tmp_path / "converted"))
    colour_classifier.save(tmp_path / "model.keras")
    expected, found = (
        METHODS["ten_crops"].load(tmp_path / "model.keras", None, runtime, 1)
        for runtime in ("tensorflow", "litert")
    )
    assert (expected.runtime, found.runtime) == ("tensorflow", "litert")
    images = photos(1, 256, 256)
    np.testing.assert_allclose(found.classify(images), expected.classify(images), atol=1e-4)


class ReleasedCrops(Localizer):
    """Gives for each crop what the authors released: four corners, the centre, and the same mirrored."""

    size_hw, classes, labels = (224, 224), 1000, None

    def __init__(self, released):
        self.released = released
        self.order = iter([crop + mirrored for crop in range(5) for mirrored in (0, 5)] * 2)

    def classify(self, images):
        return np.log(self.released["scores"][[next(self.order)]])

    def cam(self, images, class_ids):
        crop = next(self.order)
        maps = np.einsum(
            "yxc,ck->kyx", self.released["features"][crop], self.released["kernel"][:, class_ids[0]]
        )
        return {"class_activation_maps": maps[None]}


@pytest.mark.skipif(not GOLDENS, reason="KERAS_CAM_GOLDENS names the folder of released results")
def test_the_released_crops_merge_into_a_map_of_the_whole_photo():
    folder = Path(GOLDENS) / "cam_authors"
    released = np.load(folder / "googlenet_cam_img1.npz")
    crops = ReleasedCrops(released)
    localizer = TenCropLocalizer(crops)
    photo = np.zeros((1, 256, 256, 3), "float32")  # the crops do not look at it
    scores = released["scores"].mean(axis=0)
    np.testing.assert_allclose(np.exp(localizer.classify(photo))[0], scores, rtol=1e-4, atol=1e-9)
    best = int(scores.argmax())
    found = localizer.cam(photo, [[best]])
    merged = found["class_activation_maps"][0, 0]
    # Each crop alone, laid over the photo: the merged map follows all of them, mirrored ones as well.
    for crop in range(10):
        features = released["features"][crop, :, :: -1 if crop >= 5 else 1]
        alone = np.maximum(features @ released["kernel"][:, best], 0)
        top, left = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)][crop % 5]  # cells of 4 pixels
        part = merged[top : top + 56, left : left + 56].reshape(14, 4, 14, 4).mean(axis=(1, 3))
        assert np.corrcoef(part.ravel(), alone.ravel())[0, 1] > 0.8, crop
    ymin, xmin, ymax, xmax = found["detection_boxes"][0, 0]
    y, x = (np.unravel_index(merged.argmax(), merged.shape) + np.array(0.5)) / 64
    assert ymin < y < ymax
    assert xmin < x < xmax
