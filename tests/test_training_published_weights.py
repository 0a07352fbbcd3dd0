"""Training that starts from files that others published."""

import numpy as np
import pytest
from caffe_files import alexnet_convolutions, alexnet_plus_cam, caffemodel, random_blobs
from PIL import Image

from keras_cam.cli import main as cli
from keras_cam.training import Stage, TrainingConfig, list_configs, load_config, train
from keras_cam.training.classifier import build_classifier

COLOURS = ("blue", "green", "red")


@pytest.fixture
def photos(tmp_path):
    for channel, name in enumerate(COLOURS):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(2):
            pixels = np.random.default_rng(index).integers(0, 80, (70, 80, 3), np.uint8)
            pixels[20:50, 20:50, channel] = 250
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.jpg")
    return tmp_path / "photos"


@pytest.fixture
def caffe_file(tmp_path):
    def caffe_file(rows):
        blobs = random_blobs(rows, 227)
        path = tmp_path / "published.caffemodel"
        path.write_bytes(caffemodel(blobs))
        return str(path), blobs

    return caffe_file


def head_only(model, **values):
    stages = (Stage(epochs=1, learning_rate=1e-5, trains="head"),)
    return TrainingConfig(
        stages,
        model=model,
        image_size=(99, 99),
        batch_size=3,
        train_split=None,
        validation_split=None,
        **values,
    )


def in_caffe_order(trained, layer):
    return trained.model.get_layer(layer).get_weights()[0].transpose(3, 2, 0, 1)


def test_a_run_starts_from_the_convolutions_of_an_original(photos, caffe_file, tmp_path):
    path, blobs = caffe_file(alexnet_convolutions(False, 256))
    config = head_only("alexnet_gap", backbone_weights=path, head_filters=8, head_groups=2)
    trained = train(config, photos, tmp_path / "run", "one_device", report=lambda line: None)
    for layer in ("conv1", "conv5"):
        np.testing.assert_array_equal(in_caffe_order(trained, layer), blobs[layer][0])
    assert trained.model.get_layer("features").groups == 2


def test_a_released_network_is_trained_as_it_is(photos, caffe_file, tmp_path):
    path, blobs = caffe_file(alexnet_plus_cam(3))
    trained = train(
        head_only("alexnet_star_gap", weights=path),
        photos,
        tmp_path / "run",
        "one_device",
        report=lambda line: None,
    )
    np.testing.assert_array_equal(in_caffe_order(trained, "features"), blobs["conv7"][0])
    head = trained.model.get_layer("head").get_weights()[0].T
    assert 0 < np.abs(head - blobs["fc9"][0]).max() < 0.01  # a few small steps away


def test_a_file_that_does_not_fit_is_one_line(photos, caffe_file, tmp_path, capsys):
    path, _ = caffe_file(alexnet_plus_cam(5))
    changes = [f"weights={path}", "train_split=None", "validation_split=None", "classes=None"]
    flags = [f"--config.{change}" for change in changes]
    command = ["train", str(photos), "--config", "imagenet2012_alexnet_star_gap", *flags]
    assert cli.main([*command, "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "layer 'fc9' must have the shape (3, 512), for the layer 'head'" in error


@pytest.mark.parametrize("name", [name for name in list_configs() if name.startswith("imagenet2012_")])
def test_the_papers_configurations_build_the_released_networks(name):
    config = load_config(name, ["backbone_weights=None", "image_size=(99, 99)"])
    model = build_classifier(config, [f"class {index}" for index in range(1000)])
    # NIN has no CAM convolution, but a 1x1 convolution behind a 3x3 one.
    assert model.get_layer("features").groups == (1 if "nin" in name else 2)
