"""Maps and boxes from gradients, against derivatives one can do by hand."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from keras_cam import evaluate
from keras_cam.cli import main as cli
from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.graph.logits import find_logits
from keras_cam.inference.gradients import SaliencyLocalizer
from keras_cam.layers import ClassLabels


@pytest.fixture(scope="module")
def linear():
    """Two logits, linear in 8x8 pixels: the derivative is the weight itself, wherever one is."""
    images = keras.Input((8, 8, 3))
    logits = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    return keras.Model(images, logits)


@pytest.fixture(scope="module")
def weights(linear):
    """Class 0 looks at the rows 2 and 3, columns 4 to 7; class 1 everywhere else, and less."""
    kernel = np.zeros((8, 8, 3, 2), "float32")
    kernel[..., 1] = -0.25
    kernel[2:4, 4:8, 1, :] = [-2.0, 0.0]
    linear.layers[-1].set_weights([kernel.reshape(-1, 2), np.array([0.5, 0], "float32")])
    return kernel


def test_a_map_is_the_largest_derivative_of_a_colour(linear, weights):
    localizer = SaliencyLocalizer(linear, cell_size=1)
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype("float32")
    maps = localizer.cam(images, np.array([[0, 1], [1, 0], [0, 0]]))["class_activation_maps"]
    expected = np.abs(weights).max(axis=2)
    np.testing.assert_allclose(maps[0], np.moveaxis(expected, -1, 0), atol=1e-6)
    np.testing.assert_allclose(maps[1, 0], expected[..., 1], atol=1e-6)
    np.testing.assert_allclose(maps[2, 1], expected[..., 0], atol=1e-6)
    np.testing.assert_allclose(localizer.classify(images), linear(images), rtol=1e-5)


def test_cells_average_and_boxes_are_where_the_weights_are(linear, weights):
    localizer = SaliencyLocalizer(linear, cell_size=2, top_k=7)
    images = np.zeros((1, 8, 8, 3), "float32")
    assert (localizer.size_hw, localizer.classes, localizer.labels) == ((8, 8), 2, None)
    out = localizer.localize(images)
    assert out["detection_classes"].tolist() == [[0, 1]]
    np.testing.assert_allclose(out["detection_scores"][0], 1 / (1 + np.exp([-0.5, 0.5])), rtol=1e-5)
    assert out["class_activation_maps"].shape == (1, 2, 4, 4)
    np.testing.assert_allclose(out["class_activation_maps"][0, 0], [[0] * 4, [0, 0, 2, 2], [0] * 4, [0] * 4])
    # Rows 2 and 3, columns 4 to 7, and around them where the surface falls to 0.2 of its maximum: 0.7 pixels.
    ymin, xmin, ymax, xmax = out["detection_boxes"][0, 0] * 8
    assert (ymin, ymax) == pytest.approx((1.3, 4.7), abs=1)
    assert (xmin, xmax) == pytest.approx((3.3, 8.0), abs=1)


@pytest.mark.parametrize("built_in", [True, False])
def test_softmax_at_the_end_is_left_out(linear, weights, built_in):
    images = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(images)
    dense = keras.layers.Dense(2, activation="softmax" if built_in else None)
    outputs = dense(flat) if built_in else keras.layers.Softmax()(dense(flat))
    model = keras.Model(images, ClassLabels(["cat", "dog"])(outputs))
    dense.set_weights(linear.layers[-1].get_weights())
    photo = np.full((1, 8, 8, 3), 200, "float32")  # so far on one side that probabilities hardly change
    localizer = SaliencyLocalizer(model, cell_size=1)
    assert localizer.labels == ("cat", "dog")
    assert find_logits(model)[2] == "softmax"
    np.testing.assert_allclose(localizer.classify(photo), linear(photo), rtol=1e-4)
    found, expected = localizer.cam(photo, [[0]]), SaliencyLocalizer(linear, cell_size=1).cam(photo, [[0]])
    assert set(found) == {"class_activation_maps", "detection_boxes"}
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-6)
    scores = localizer.localize(photo)["detection_scores"]
    np.testing.assert_allclose(scores, np.sort(model(photo))[:, ::-1], atol=1e-5)


def test_a_single_sigmoid_output():
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(images)))
    photo = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3)).astype("float32")
    out = SaliencyLocalizer(model, cell_size=4).localize(photo)
    np.testing.assert_allclose(out["detection_scores"], model(photo), rtol=1e-5)


def test_the_evaluator_takes_it(linear, weights, tmp_path):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "black.png")
    box = np.array([[6, 2, 16, 10]], "float32")
    image = AnnotatedImage("black", str(tmp_path / "black.png"), 0, (0,), box, np.array([0]))
    annotated = AnnotatedImages("black", ("bright", "dark"), (image,))
    figures = evaluate(SaliencyLocalizer(linear, cell_size=2), annotated).to_dict()
    assert figures["classification_top1_error"] == 0
    assert figures["gt_known_accuracy"] == 1
    assert figures["pointing_game"] == 1


def test_what_does_not_fit_is_refused(linear):
    with pytest.raises(ValueError, match=r"at most 8, the size of the images. Received: cell_size=9"):
        SaliencyLocalizer(linear, cell_size=9)
    with pytest.raises(ValueError, match="outputs"):
        find_logits(keras_cam.build_localizer(keras_cam.build_model("mobilenet_v2", classes=2)))


def test_the_command_compares_the_two_methods(linear, weights, tmp_path, capsys):
    images = keras.Input((32, 32, 3))
    small = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(images))
    pooled = keras.layers.GlobalAveragePooling2D()(small)
    keras.Model(images, keras.layers.Dense(2)(pooled)).save(tmp_path / "gap.keras")
    keras.Model(images, linear(small)).save(tmp_path / "linear.keras")
    for name in ("bright", "dark"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "photos" / name / "black.png")
    arguments = ["evaluate", "--data", str(tmp_path / "photos"), "--method", "backprop", "--json"]
    assert cli.main([*arguments, "--model", str(tmp_path / "linear.keras")]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["classification_top1_error"] == 0.5
    assert json.loads(line)["model"].endswith("linear.keras (backprop)")
    both = [*arguments, "--method", "cam", "--model", str(tmp_path / "gap.keras")]
    assert cli.main(both) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    three = [*both, "--method", "gradcam", "--method", "finer:hirescam"]
    assert cli.main(three) == 0
    models = [json.loads(line)["model"].rpartition("/")[2] for line in capsys.readouterr().out.splitlines()]
    assert models[2:] == ["gap.keras (gradcam)", "gap.keras (finer:hirescam)"]
    assert cli.main(["localize", str(tmp_path / "photos"), "--method", "layercam", *both[-2:], "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    gradients = [*arguments, "--model", str(tmp_path / "linear.keras")]
    assert cli.main([*gradients, "--runtime", "litert"]) == 2
    assert "Only TensorFlow computes gradients: `runtime` must be 'auto' or" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main([*arguments, "--method", "grad-cam"])
    assert "grad-cam" in capsys.readouterr().err
