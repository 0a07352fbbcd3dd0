"""Large pictures: maps of tiles become one map, and objects on the borders of tiles get one box."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

import keras_cam
from keras_cam.cli.main import main
from keras_cam.inference.records import FailedImage
from keras_cam.metrics import box_ious

GREEN, BLUE = 1, 2


def canvas(*places_xyxy, colour=GREEN, size_wh=(300, 200)):
    """Black, with rectangles of one colour."""
    pixels = np.zeros((*size_wh[::-1], 3), np.uint8)
    for xmin, ymin, xmax, ymax in places_xyxy:
        pixels[ymin:ymax, xmin:xmax, colour] = 255
    return pixels


def boxes_of(record, class_id=GREEN):
    return [found.box_xyxy for found in record.detections if found.class_id == class_id]


def test_the_map_of_the_picture_is_what_one_pass_over_all_of_it_would_give(colour_classifier):
    """The maps of this classifier are colours averaged over 4 x 4 pixels, wherever its tiles are."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    cells = picture.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3)) / 255
    for overlap in (0, 0.25, 0.9):
        [record] = keras_cam.localize(picture, colour_classifier, refine="none", tiles=32, overlap=overlap)
        for found in record.detections:
            np.testing.assert_allclose(found.activation_map, cells[..., found.class_id], atol=1e-5)


def test_the_mean_of_the_map_plus_the_bias_is_the_mean_logit(colour_classifier):
    classifier = keras.models.clone_model(colour_classifier)
    classifier.layers[-1].set_weights(
        [np.random.default_rng(1).normal(size=(3, 3)), np.array([0.5, -1.0, 2.0])]
    )
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    localizer = keras_cam.load_localizer(classifier, refine="none")
    tiles = [picture[row : row + 32, column : column + 32] for row in (0, 32) for column in (0, 32, 64)]
    logits = localizer.classify(np.array(tiles)).mean(axis=0)
    [record] = keras_cam.localize(picture, localizer, tiles=32, overlap=0)
    for found in record.detections:
        bias = (0.5, -1.0, 2.0)[found.class_id]
        assert found.activation_map.mean() + bias == pytest.approx(logits[found.class_id], abs=1e-4)


def test_a_picture_of_one_tile_gives_what_the_whole_photo_gives(colour_classifier):
    picture = canvas((37, 40, 133, 151))
    for refine in ("none", "auto"):
        localizer = keras_cam.load_localizer(colour_classifier, refine=refine)
        [whole] = keras_cam.localize(picture, localizer)
        [tiled] = keras_cam.localize(picture, localizer, tiles=400)
        assert (tiled.width, tiled.height) == (300, 200)
        one, other = whole.detections[0], tiled.detections[0]
        assert (one.class_id, one.threshold) == (other.class_id, other.threshold)
        assert one.score == pytest.approx(other.score, abs=1e-6)
        assert other.box_xyxy == pytest.approx(one.box_xyxy, abs=1)


@pytest.mark.parametrize("overlap", [0, 0.2, 0.5])
def test_objects_on_the_borders_of_tiles_have_one_box(colour_classifier, overlap):
    places = [(50, 40, 114, 90), (180, 30, 290, 150), (20, 150, 44, 174)]
    [record] = keras_cam.localize(
        canvas(*places), colour_classifier, tiles=64, overlap=overlap, refine="none", threshold=0.5
    )
    found = boxes_of(record)
    assert len(found) == 3
    assert np.min(np.max(box_ious(places, found), axis=1)) > 0.8
    assert boxes_of(record, BLUE) == [None]


def test_the_score_of_a_box_is_that_of_the_tiles_that_see_it(colour_classifier):
    """Tiles of 100 pixels side by side: one is green, one is black, one is green in four tenths."""
    picture = canvas((0, 0, 100, 100), (230, 0, 270, 100), size_wh=(300, 100))
    localizer = keras_cam.load_localizer(colour_classifier, refine="none")
    [record] = keras_cam.localize(picture, localizer, tiles=100, overlap=0)
    green = [found for found in record.detections if found.class_id == GREEN]
    full, some = (np.exp(part) / (np.exp(part) + 2) for part in (1, 0.4))
    assert [found.score for found in green] == pytest.approx([full, some], abs=0.01)
    assert [found.box_xyxy[0] for found in green] == pytest.approx([0, 230], abs=8)


def test_probabilities_are_those_of_the_model_if_it_has_one_class():
    images = keras.Input((32, 32, 3))
    features = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(images))
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(images, keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")(pooled))
    [record] = keras_cam.localize(canvas((100, 50, 200, 150)), model, tiles=100, refine="none")
    assert 0.5 < record.detections[0].score < 1 / (1 + np.exp(-1)) + 1e-6
    assert len(record.detections) == 1


def test_photos_on_a_large_canvas_are_found_where_they_are():
    """The refined maps of the default network; the cat lies on the corner of four tiles."""
    picture = np.full((1100, 1500, 3), 128, np.uint8)
    picture[380:680, 300:751] = data.chelsea()
    picture[650:1050, 880:1480] = data.coffee()
    [record] = keras_cam.localize(picture, tiles=500, overlap=0.2)
    best = {found.label: found.box_xyxy for found in reversed(record.detections)}
    assert record.detections[0].label in ("espresso", "Egyptian cat", "tabby")
    assert float(box_ious([best["espresso"]], [(880, 650, 1480, 1050)])[0, 0]) > 0.3
    cats = [best[label] for label in ("Egyptian cat", "tabby") if label in best]
    assert float(np.max(box_ious(cats, [(300, 380, 751, 680)]))) > 0.5


@pytest.mark.parametrize("name", ["cam.tflite", "cam.onnx", "1"])
def test_exported_models_give_the_same(colour_classifier, tmp_path, name):
    localizer = keras_cam.build_localizer(colour_classifier)
    save = {
        "cam.tflite": keras_cam.export.save_litert,
        "cam.onnx": keras_cam.export.save_onnx,
        "1": keras_cam.export.save_saved_model,
    }
    save[name](localizer, tmp_path / name)
    picture = canvas((50, 40, 114, 90), (180, 30, 290, 150))
    [expected] = keras_cam.localize(picture, localizer, tiles=64)
    [record] = keras_cam.localize(picture, tmp_path / name, tiles=64)
    assert len(record.detections) == len(expected.detections)
    for one, other in zip(record.detections, expected.detections, strict=True):
        assert (one.class_id, one.threshold) == (other.class_id, other.threshold)
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.box_xyxy == pytest.approx(other.box_xyxy, abs=1)


def test_a_broken_picture_does_not_end_the_batch(colour_classifier, tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\x00")
    Image.fromarray(canvas((50, 40, 114, 90))).save(tmp_path / "b.png")
    failed, record = keras_cam.localize_files(colour_classifier, tmp_path, tiles=64)
    assert isinstance(failed, FailedImage)
    assert "a.tif" in failed.error
    assert boxes_of(record) != [None]


def test_wrong_options_are_named(colour_classifier, tmp_path):
    for options in ({"tiles": 0}, {"tiles": 64.0}, {"tiles": 64, "overlap": 1}):
        with pytest.raises(ValueError, match=r"`tiles` must be .*Received: tiles=.*overlap="):
            keras_cam.localize_files(colour_classifier, tmp_path, **options)


def test_the_command_takes_tiles(colour_classifier, tmp_path, capfd):
    keras_cam.build_localizer(colour_classifier, refine="none").save(tmp_path / "colours.keras")
    picture = canvas((50, 40, 114, 90), (180, 30, 290, 150))
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", tile=(64, 64), compression="deflate")
    command = ["localize", str(tmp_path / "a.tif"), "--model", str(tmp_path / "colours.keras")]
    assert main([*command, "--tiles", "64", "--overlap", "0.25", "--json", "--classes", "class 1"]) == 0
    [printed] = map(json.loads, capfd.readouterr().out.splitlines())
    assert len(printed["detections"]) == 2
    assert main([*command, "--overlap", "0.25"]) == 2
    assert "--overlap goes with --tiles" in capfd.readouterr().err


@pytest.mark.sweep
def test_memory_stays_flat(tmp_path):
    """400 million pixels, which are 1.2 GB; uncompressed and in deflated tiles."""
    program = (
        "import resource, sys, keras, keras_cam\n"
        "images = keras.Input((32, 32, 3))\n"
        "pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.AveragePooling2D(4)(images))\n"
        "model = keras.Model(images, keras.layers.Dense(3)(pooled))\n"
        "[record] = keras_cam.localize(sys.argv[1], model, tiles=640)\n"
        "record.picture()\n"
        "print(record.width, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    sizes = {}
    for name, side, options in (
        ("small", 640, {}),
        ("strips", 20000, {}),
        ("tiles", 20000, {"tile": (256, 256), "compression": "deflate"}),
    ):
        path = tmp_path / f"{name}.tif"
        rows = np.zeros((side, side, 3), np.uint8)
        tifffile.imwrite(path, rows, photometric="rgb", **options)
        del rows
        printed = subprocess.check_output([sys.executable, "-c", program, path], text=True)
        width, megabytes = map(int, printed.split())
        assert width == side
        sizes[name] = megabytes
    print(sizes)
    assert max(sizes.values()) < sizes["small"] + 700, sizes
