"""Files of torchvision's networks with seeded random weights, against what torch computed with them.

tests/make_torchvision_outputs.py wrote the numbers; torch is not needed here.
"""

import base64
import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from torch_files import checkpoint, seeded_image, seeded_weights, state_dict_file

import keras_cam
from each_network import each_network
from keras_cam.graph.keras_internals import all_layers
from keras_cam.inference.load import load_localizer
from keras_cam.models.published_weights import find_network
from keras_cam.models.registry import MODELS
from keras_cam.models.torch_checkpoint import read_torch_checkpoint

TORCH = json.loads(Path(__file__).with_name("torchvision_outputs.json").read_text())
FILES, _ = TORCH.pop("files"), TORCH.pop("versions")
SIZE = seeded_image().shape[1:]
# The smallest network of each family.
EVERYDAY = ("alexnet", "vgg16_bn", "googlenet", "resnet18", "densenet121", "mobilenet_v2",
            "mobilenet_v3_small", "efficientnet_b0")  # fmt: skip
every_network = each_network(TORCH, EVERYDAY)


@pytest.fixture(autouse=True)
def clear_session():
    yield
    keras.backend.clear_session()


def our_name(name):
    whole, gap = f"torchvision_{name}", f"torchvision_{name}_gap"
    return whole if whole in MODELS else gap


def torch_shapes(model):
    """Names and shapes that a file must have for this model."""
    classifier = MODELS[model.name].torch_classifier
    for layer in all_layers(model):
        name = classifier if layer.name == "head" else layer.name
        if not layer.weights or isinstance(layer, keras.Model) or not name or name == "features":
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            for kind in ("weight", "bias", "running_mean", "running_var"):
                yield f"{name}.{kind}", layer.gamma.shape
            continue
        kernel = layer.kernel.shape
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            kernel = kernel[2], kernel[3], *kernel[:2]
        elif len(kernel) == 4:
            kernel = kernel[3], kernel[2], *kernel[:2]
        yield f"{name}.weight", tuple(kernel) if len(kernel) == 4 else kernel[::-1]
        if layer.use_bias:
            yield f"{name}.bias", layer.bias.shape


def write(folder, name, change=lambda weights: weights, **options):
    """A file of a network, and the network's shapes."""
    shapes = dict(torch_shapes(keras_cam.build_model(our_name(name), input_shape=SIZE)))
    path = folder / f"{name}.pth"
    weights = {key: seeded_weights(key, shape) for key, shape in shapes.items()}
    path.write_bytes(state_dict_file(change(weights), **options))
    return path, shapes


def digest(shapes):
    lines = sorted(f"{name} {tuple(map(int, shape))}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@every_network
def test_a_network_computes_what_torch_computes(name, tmp_path):
    path, shapes = write(tmp_path, name)
    assert digest(shapes) == TORCH[name]["digest"], "these are not the tensors of torchvision's file"
    if MODELS[our_name(name)].torch_classifier:
        model = keras_cam.build_model(our_name(name), weights=path, input_shape=SIZE)
        values = model(seeded_image())[0]
    else:
        with pytest.warns(UserWarning, match="holds the original network.*keep random weights"):
            model = keras_cam.build_model(our_name(name), weights=path, input_shape=SIZE)
        layer = model.get_layer("features")
        maps = layer.output if name.startswith("mobilenet") else layer.input
        values = np.mean(keras.Model(model.input, maps)(seeded_image()), axis=(1, 2))[0]
    theirs = np.array(TORCH[name]["values"])
    ours = np.asarray(values)[:: len(values) // 16]
    assert np.ptp(theirs) > 0.1
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("kind", ["zip", "old"])
def test_files_that_torch_wrote_are_read(kind, tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(base64.b64decode(FILES[kind]))
    tensors = read_torch_checkpoint(path)
    np.testing.assert_array_equal(tensors["conv.weight"], np.arange(6).reshape(2, 3).T)
    assert tensors["steps"] == 7


def test_the_file_of_googlenet_gives_the_convolutions_of_googlenet_gap(tmp_path):
    path, shapes = write(tmp_path, "googlenet")
    with pytest.warns(UserWarning, match=r"\['features', 'head'\] keep random weights"):
        model = keras_cam.build_model("torchvision_googlenet_gap", weights=path, input_shape=SIZE)
    name = "inception4e.branch3.1.conv"
    kernel = model.get_layer(name).get_weights()[0].transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(kernel, seeded_weights(f"{name}.weight", shapes[f"{name}.weight"]))


def old_names(weights):
    """As in the published files of DenseNet."""
    renamed = {"norm1": "norm.1", "norm2": "norm.2", "conv1": "conv.1", "conv2": "conv.2"}
    return {
        ".".join(
            renamed.get(part, part) if "denselayer" in name else part for part in name.split(".")
        ): values
        for name, values in weights.items()
    }


def from_data_parallel(weights):
    return {f"module.{name}": values for name, values in weights.items()}


@pytest.mark.parametrize(
    ("name", "change"),
    [("densenet121", old_names), ("densenet121", from_data_parallel), ("resnet18", from_data_parallel)],
)
def test_names_that_published_files_have_are_understood(name, change, tmp_path):
    path, _ = write(tmp_path, name, change, saved=checkpoint)
    values = keras_cam.build_model(our_name(name), weights=path, input_shape=SIZE)(seeded_image())[0]
    theirs = np.array(TORCH[name]["values"])
    ours = np.asarray(values)[:: len(values) // 16]
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize(("name", "classes"), [("resnet18", 365), ("mobilenet_v2", 1000)])
def test_a_file_tells_its_network_and_its_classes(name, classes, tmp_path):
    def change(weights):
        return {
            key: values[:classes] if key.startswith(("fc", "classifier")) else values
            for key, values in weights.items()
        }

    path, _ = write(tmp_path, name, change)
    assert find_network(path) == (our_name(name), classes)
    assert load_localizer(path, refine="none").classes == classes


def test_finer_maps_keep_the_weights(tmp_path):
    path, _ = write(tmp_path, "resnet18")
    images = np.zeros((1, 96, 96, 3))
    coarse, fine = (
        keras_cam.build_model("torchvision_resnet18", path, input_shape=(96, 96, 3), output_stride=stride)
        for stride in (None, 16)
    )
    assert fine.get_layer("features").output.shape[1:3] == (6, 6)
    assert coarse.get_layer("features").output.shape[1:3] == (3, 3)
    maps = [keras.Model(model.input, model.get_layer("features").output)(images) for model in (coarse, fine)]
    np.testing.assert_allclose(maps[1][:, ::2, ::2][:, 1, 1], maps[0][:, 1, 1], rtol=1e-3, atol=1e-3)


def test_what_does_not_fit_is_named(tmp_path):
    path, _ = write(tmp_path, "mobilenet_v2")
    expected = r"layer 'classifier\.1' must have the shape \(3, 1280\), for the layer 'head'"
    with pytest.raises(ValueError, match=rf"{expected} .*Received: \(1000, 1280\)"):
        keras_cam.build_model("torchvision_mobilenet_v2", weights=path, classes=3)
    with pytest.raises(
        ValueError, match=r"all layers of torchvision_resnet18\. Received: .* lacks 41 of them"
    ):
        keras_cam.build_model("torchvision_resnet18", weights=path)
    with pytest.raises(ValueError, match=r"must be for one of \['torchvision_alexnet_gap', .*'resnet50'"):
        keras_cam.build_model("resnet50", weights=path)
    with pytest.raises(
        ValueError, match=r"no weights=\"imagenet\": torchvision published them; give the path"
    ):
        keras_cam.build_model("torchvision_resnet18", weights="imagenet")
    model = keras_cam.build_model("torchvision_mobilenet_v2", classes=3, backbone_weights=path)
    assert model.output_shape == (None, 3)
