"""Caffe files of the published architectures, against a plain NumPy forward pass: no Caffe in sight.

With KERAS_CAM_GOLDENS set to a folder that holds `cam_authors`, the activations, scores and boxes that the
paper's authors released are checked as well.
"""

import json
import os
import tracemalloc
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from caffe_files import (
    alexnet,
    alexnet_plus_cam,
    caffemodel,
    field,
    googlenet_cam,
    layer,
    nin,
    original_googlenet,
    random_blobs,
    varint,
    vgg16_cam,
)

import keras_cam
from keras_cam.cli import main as cli
from keras_cam.inference.load import load_localizer
from keras_cam.metrics.zhou2016 import zhou2016_released
from keras_cam.models.caffe_checkpoint import read_caffe_checkpoint
from keras_cam.models.labels import label_list
from keras_cam.models.published_weights import find_network

GOLDENS = os.environ.get("KERAS_CAM_GOLDENS")


BVLC, VGG, PLACES = (104, 117, 123), (103.939, 116.779, 123.68), (105.487823486, 113.741088867, 116.060394287)
# Network, rows, classes, image size, layer messages before Caffe 1.0, mean BGR pixel.
PUBLISHED = {
    "googlenetCAM_imagenet": ("googlenet_gap", googlenet_cam, 1000, 224, False, BVLC),
    "googlenetCAM_places205": ("googlenet_gap", googlenet_cam, 205, 224, False, PLACES),
    "vgg16CAM": ("vgg16_gap", vgg16_cam, 1000, 224, True, VGG),
    "alexnetplusCAM_imagenet": ("alexnet_star_gap", alexnet_plus_cam, 1000, 227, True, BVLC),
    "alexnetplusCAM_places205": ("alexnet_star_gap", alexnet_plus_cam, 205, 227, True, PLACES),
    "nin_imagenet": ("nin_gap", nin, 1000, 227, True, BVLC),
    "bvlc_alexnet": ("alexnet", alexnet, 1000, 227, False, BVLC),
    "bvlc_googlenet": ("googlenet", original_googlenet, 1000, 224, False, BVLC),
    "googlenet_places365": ("googlenet", original_googlenet, 365, 224, False, PLACES),
}
slow = ("bvlc_alexnet", "googlenetCAM_places205", "alexnetplusCAM_places205", "googlenet_places365")
every_published_file = pytest.mark.parametrize(
    "file", [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in PUBLISHED]
)


# A plain forward pass, of one image (channels, height, width).


def padded(x, before, after, value):
    return np.pad(x, ((0, 0), (before, after), (before, after)), constant_values=value)


def windows(x, size, stride):
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]


def convolve(x, kernel, bias, stride, pad, group):
    seen = windows(padded(x, pad, pad, 0), kernel.shape[-1], stride)
    outputs = [
        np.tensordot(weights, part, axes=((1, 2, 3), (0, 3, 4)))
        for weights, part in zip(np.split(kernel, group), np.split(seen, group), strict=True)
    ]
    return np.maximum(np.concatenate(outputs) + bias[:, None, None], 0)


def maximum(x, size, stride, pad):
    # Caffe rounds up: the last window may begin inside and end outside of the map.
    count = -(-(x.shape[1] + 2 * pad - size) // stride) + 1
    beyond = max(0, (count - 1) * stride + size - x.shape[1] - pad)
    return windows(padded(x, pad, beyond, -np.inf), size, stride).max(axis=(3, 4))


def normalize(x):
    energy = np.pad(x.astype("float64") ** 2, ((2, 2), (0, 0), (0, 0)))
    near = sum(energy[shift : shift + len(x)] for shift in range(5))
    return (x / (1 + 1e-4 / 5 * near) ** 0.75).astype("float32")


def forward(rows, blobs, data):
    outputs = {"data": data}
    for name, kind, inputs, how in rows:
        x = [outputs[each] for each in inputs] if kind == "concat" else outputs[inputs]
        if kind == "conv":
            outputs[name] = convolve(x, *blobs[name], how["stride"], how["pad"], how["group"])
        elif kind == "pool":
            outputs[name] = maximum(x, how["size"], how["stride"], how["pad"])
        elif kind == "norm":
            outputs[name] = normalize(x)
        elif kind == "concat":
            outputs[name] = np.concatenate(x)
        elif kind == "mean":
            outputs[name] = x.mean(axis=(1, 2))
        else:
            kernel, bias = blobs[name]
            values = kernel @ x.reshape(-1) + bias
            outputs[name] = np.maximum(values, 0) if how.get("relu") else values
    return outputs


def our_name(network, name):
    """Our layer for a layer of the deploy file."""
    if network == "vgg16_gap" and name.startswith(("conv", "pool")):
        block, _, index = name[4:].partition("_")
        return f"block{block}_conv{index}" if index else f"block{block}_pool"
    special = {
        "conv1/7x7_s2": "conv1", "conv2/3x3": "conv2", "conv2/3x3_reduce": "conv2_reduce",
        "pool1/norm1": "norm1", "conv2/norm2": "norm2", "CAM_conv": "features", "CAM_fc": "head",
        "loss3/classifier": "head", "fc9": "head", "fc8": "head", "conv7": "features", "CAM_pool": "pooler",
        "conv4-1024": "conv4", "cccp7-1024": "features", "cccp8-1024": "head",
    }  # fmt: skip
    return special.get(name) or name.removesuffix("/output").removesuffix("/3x3_s2").replace("/", "_")


def write(folder, file):
    network, make, classes, size, old, _ = PUBLISHED[file]
    rows = make(classes)
    blobs = random_blobs(rows, size)
    path = folder / f"{file}.caffemodel"
    path.write_bytes(caffemodel(blobs, old))
    return path, network, rows, blobs


@pytest.fixture(autouse=True)
def clear_session():
    yield
    keras.backend.clear_session()


@every_published_file
def test_every_layer_computes_what_caffe_would(file, tmp_path, photos):
    path, network, rows, blobs = write(tmp_path, file)
    *_, classes, size, _, mean_bgr = PUBLISHED[file]
    model = keras_cam.build_model(network, weights=path, classes=classes)
    images = photos(1, size, size)
    expected = forward(rows, blobs, (images[0, ..., ::-1] - np.float32(mean_bgr)).transpose(2, 0, 1))
    names = [name for name, *_ in rows]
    layers = [model.get_layer(our_name(network, name)).output for name in names]
    for name, output in zip(names, keras.Model(model.input, layers)(images), strict=True):
        theirs = expected[name] if expected[name].ndim == 1 else expected[name].transpose(1, 2, 0)
        np.testing.assert_allclose(
            output[0], theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max(), err_msg=f"{file}: {name}"
        )
    assert np.ptp(model(images)) > 0.1, "nothing to compare"


# Which network a file is for.


@pytest.mark.parametrize("file", ["googlenetCAM_imagenet", "alexnetplusCAM_places205", "nin_imagenet"])
def test_a_file_tells_its_network_and_its_classes(file, tmp_path, photos):
    path, network, *_ = write(tmp_path, file)
    classes, size = PUBLISHED[file][2:4]
    assert find_network(path) == (network, classes)
    localizer = load_localizer(path, refine="none")
    assert (localizer.classes, localizer.size_hw) == (classes, (size, size))
    assert localizer.localize(photos(1, size, size))["class_activation_maps"].shape[:2] == (1, 5)


@pytest.mark.parametrize("classes", [205, 365])
def test_the_command_localizes_scenes_with_their_names(classes, tmp_path, capsys):
    path = tmp_path / "places.caffemodel"
    path.write_bytes(caffemodel(random_blobs(alexnet_plus_cam(classes), 227), old=True))
    photo, labels = str(tmp_path / "photo.png"), label_list(f"places{classes}")
    cv2.imwrite(photo, np.random.default_rng(0).integers(0, 255, (60, 80, 3)))
    command = ["localize", photo, "--model", str(path), "--refine", "none", "--json"]
    assert cli.main([*command, "--labels", f"places{classes}"]) == 0
    detections = json.loads(capsys.readouterr().out)["detections"]
    assert [each["label"] for each in detections] == [labels[each["class_id"]] for each in detections]
    assert detections
    assert cli.main([*command, "--labels", "imagenet"]) == 2
    assert f"must name the {classes} classes of the model" in capsys.readouterr().err


def test_the_cam_convolution_is_built_as_it_is_in_the_file(tmp_path):
    path, network, *_ = write(tmp_path, "googlenetCAM_imagenet")
    assert keras_cam.build_model(network, weights=path).get_layer("features").groups == 2
    expected = r"weight .* 'CAM_conv' must have the shape \(1024, 832, 3, 3\), for the layer 'features'"
    with pytest.raises(ValueError, match=rf"{expected} of googlenet_gap\. Received: \(1024, 416, 3, 3\)"):
        keras_cam.build_model(network, weights=path, head_groups=1)


def test_a_localizer_of_a_published_file_can_be_saved(tmp_path, photos):
    path, network, *_ = write(tmp_path, "alexnetplusCAM_places205")
    model = keras_cam.build_model(network, weights=path, classes=205)
    model.save(tmp_path / "model.keras")
    images = photos(1, 227, 227)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(images), model(images))


# The convolutions of an original, and new heads.


def test_the_convolutions_of_an_original_are_loaded_with_a_warning(tmp_path):
    path, _, _, blobs = write(tmp_path, "bvlc_googlenet")
    with pytest.warns(UserWarning, match=r"holds the original network.*\['features', 'head'\] keep random"):
        model = keras_cam.build_model("googlenet_gap", weights=path)
    kernel, bias = model.get_layer("inception_4e_5x5").get_weights()
    np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), blobs["inception_4e/5x5"][0])
    np.testing.assert_array_equal(bias, blobs["inception_4e/5x5"][1])


def test_backbone_weights_leave_the_classifier_alone(tmp_path):
    path, network, _, blobs = write(tmp_path, "alexnetplusCAM_places205")
    model = keras_cam.build_model(network, classes=3, backbone_weights=path)
    kernel = model.get_layer("features").get_weights()[0]
    np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), blobs["conv7"][0])
    assert model.output_shape == (None, 3)
    with pytest.raises(ValueError, match=r"Either `weights` or the file of `backbone_weights`"):
        keras_cam.build_model(network, classes=205, weights=path, backbone_weights=path)


def test_a_classifier_without_bias_is_loaded(tmp_path):
    rows = alexnet_plus_cam(7)
    blobs = random_blobs(rows, 227)
    del blobs["fc9"][1]
    path = tmp_path / "x.caffemodel"
    path.write_bytes(caffemodel(blobs))
    kernel, bias = keras_cam.build_model("alexnet_star_gap", path, 7).get_layer("head").get_weights()
    np.testing.assert_array_equal(kernel.T, blobs["fc9"][0])
    assert not bias.any()


# What does not fit.


def test_another_number_of_classes_is_named_with_both_shapes(tmp_path):
    path, network, *_ = write(tmp_path, "alexnetplusCAM_places205")
    expected = r"layer 'fc9' must have the shape \(1000, 512\), for the layer 'head' of alexnet_star_gap"
    with pytest.raises(ValueError, match=rf"{expected}\. Received: \(205, 512\) in '.*caffemodel'"):
        keras_cam.build_model(network, weights=path)


def test_layers_that_are_not_in_the_file_are_named(tmp_path):
    path, *_ = write(tmp_path, "alexnetplusCAM_places205")
    with pytest.raises(
        ValueError, match=r"all layers of googlenet\. Received: .* lacks 58 of them, such as \['conv1', "
    ):
        keras_cam.build_model("googlenet", weights=path)
    with pytest.raises(ValueError, match=r"must be for one of \['alexnet_gap', .*the network 'mobilenet'"):
        keras_cam.build_model("mobilenet", weights=path)
    with pytest.raises(FileNotFoundError, match=r"must be a file\. Received: weights='none\.caffemodel'"):
        keras_cam.build_model("nin_gap", weights="none.caffemodel")


def test_a_network_that_is_unknown_is_refused_with_the_known_ones(tmp_path):
    path = tmp_path / "own.caffemodel"
    path.write_bytes(caffemodel({"conv1": [np.zeros((4, 3, 3, 3)), np.zeros(4)]}))
    with pytest.raises(ValueError, match=r"a whole classifier out of \['alexnet_gap', .*own\.caffemodel'"):
        load_localizer(path)


# Reading.

TINY = {"conv": [np.arange(24.0).reshape(2, 3, 2, 2), np.array([-1.0, 1.0])], "fc": [np.ones((1, 2))]}


def read(tmp_path, content):
    path = tmp_path / "x.caffemodel"
    path.write_bytes(content)
    return read_caffe_checkpoint(path)


@pytest.mark.parametrize("old", [False, True])
def test_both_layer_messages_are_read(old, tmp_path):
    tensors = read(tmp_path, caffemodel(TINY, old))
    assert list(tensors) == ["conv.weight", "conv.bias", "fc.weight"]
    np.testing.assert_array_equal(tensors["conv.weight"], TINY["conv"][0])
    assert tensors["conv.bias"].shape == ((1, 1, 1, 2) if old else (2,))


def test_fields_that_do_not_matter_are_skipped(tmp_path):
    unknown = varint(50 << 3 | 1) + bytes(8) + varint(51 << 3 | 5) + bytes(4) + field(52, 2**60)
    assert len(read(tmp_path, unknown + caffemodel(TINY) + unknown)) == 3


def one_blob(content):
    return field(100, field(1, b"conv") + field(7, content))


VALUES = field(5, np.zeros(6, "<f4").tobytes())
DAMAGED = {
    "empty": (b"", "empty file"),
    "a photo": (b"\xff\xd8\xff\xe0 JPEG", "Caffe never writes|cut off"),
    "a text": (b'name: "CaffeNet"\n', "Caffe never writes"),
    "without weights": (field(1, b"CaffeNet"), "no layer with weights"),
    "cut off in a number": (caffemodel(TINY) + b"\xff", "cut off within an integer"),
    "an endless integer": (b"\x08" + b"\xff" * 11, "more than 64 bits"),
    "a size beyond the end": (varint(100 << 3 | 2) + varint(2**50) + b"x", "cut off: 1 of 1125899906842624"),
    "a shape without its numbers": (
        one_blob(field(7, field(1, varint(2**40) + varint(2**20))) + VALUES),
        r"layer 'conv': 6 numbers for the shape \(1099511627776, 1048576\)",
    ),
    "many dimensions": (one_blob(field(7, field(1, b"\x01" * 10**6)) + VALUES), "more than 8 dimensions"),
    "half a number": (one_blob(field(5, b"123")), "not packed"),
    "pieces": (one_blob(VALUES + VALUES), "several pieces"),
    "many layers": (field(100, b"") * 5000, "more than 4096 layers"),
    "many blobs": (field(100, field(7, b"") * 10), "more than 8 blobs"),
    "layers of 2013": (field(2, field(1, b"\n\x05conv1")), "upgrade_net_proto_binary"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_refused_in_one_line(damage, tmp_path):
    content, reason = DAMAGED[damage]
    rule = r"^A \.caffemodel must be a complete Caffe network\. Received: '.*x\.caffemodel' "
    with pytest.raises(ValueError, match=rf"{rule}\(.*({reason})[^\n]*\)$"):
        read(tmp_path, content)


def test_a_file_takes_no_memory_that_it_only_asks_for(tmp_path):
    huge = field(7, field(1, varint(2**31) + varint(2**31))) + varint(5 << 3 | 2) + varint(2**62) + bytes(8)
    tracemalloc.start()
    for content in (one_blob(huge), one_blob(field(7, field(1, b"\x01" * 10**6))), field(100, b"") * 10**6):
        try:
            read(tmp_path, content)
        except ValueError:
            _, peak = tracemalloc.get_traced_memory()
            assert peak < 8e6
        else:
            pytest.fail("The file was read")
    tracemalloc.stop()


def test_a_file_that_was_cut_off_anywhere_gives_whole_layers_or_an_error(tmp_path):
    parts = [field(1, b"CaffeNet"), layer("data"), layer("conv", TINY["conv"]), layer("fc", TINY["fc"])]
    conv, fc = ["conv.weight", "conv.bias"], ["fc.weight"]
    ends = {len(b"".join(parts[:3])): conv, len(b"".join(parts)): conv + fc}
    for length in range(len(b"".join(parts)) + 1):
        content = b"".join(parts)[:length]
        if length in ends:
            assert list(read(tmp_path, content)) == ends[length]
        else:
            with pytest.raises(ValueError, match="must be a complete Caffe network"):
                read(tmp_path, content)


# What the authors released.

needs_goldens = pytest.mark.skipif(
    not GOLDENS, reason="KERAS_CAM_GOLDENS names the folder of released results"
)


@needs_goldens
def test_head_and_maps_give_the_released_scores_of_ten_crops():
    released = np.load(Path(GOLDENS) / "cam_authors" / "googlenet_cam_img1.npz")
    features, kernel, scores = released["features"], released["kernel"], released["scores"]
    maps_input = keras.Input(features.shape[1:], name="features_of_a_crop")
    model = keras_cam.build_model("googlenet_gap", head_groups=2)
    model.get_layer("head").set_weights([kernel, np.zeros(1000, "float32")])
    head = keras.Sequential([maps_input, model.get_layer("pooler"), model.get_layer("head")])
    logits = np.asarray(head(features))
    np.testing.assert_allclose(keras.ops.softmax(logits), scores, atol=1e-3)
    # The maps of the classes that ten crops predict, through the layer that localizers use.
    best = np.argsort(-scores.mean(axis=0))[:5]
    maps = keras_cam.layers.ClassActivationHead([model.get_layer("head")])(features, np.tile(best, (10, 1)))
    np.testing.assert_allclose(np.mean(maps, axis=(2, 3)), logits[:, best], atol=1e-3)


@needs_goldens
def test_the_released_boxes_come_from_the_released_heat_map():
    folder = Path(GOLDENS) / "cam_authors"
    x, y, width, height = np.array((folder / "heatmap_6.txt").read_text().split(), int).reshape(-1, 4).T
    heat_map = cv2.imread(str(folder / "heatmap_6.jpg"), cv2.IMREAD_GRAYSCALE)
    boxes = np.stack([x, y, x + width, y + height], axis=1)
    assert zhou2016_released(heat_map).tolist() == boxes.tolist()
