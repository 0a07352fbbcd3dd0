"""Caffe files of the published architectures with random weights, written here field by field, and a plain
NumPy forward pass: no Caffe in sight.

With KERAS_CAM_GOLDENS set to a folder that holds `cam_authors`, the activations, scores and boxes that the
paper's authors released are checked as well.
"""

import os
import tracemalloc
from itertools import pairwise
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

import keras_cam
from keras_cam.inference.load import load_localizer
from keras_cam.metrics.zhou2016 import zhou2016_released
from keras_cam.models.caffe_checkpoint import read_caffe_checkpoint
from keras_cam.models.published_weights import find_network

GOLDENS = os.environ.get("KERAS_CAM_GOLDENS")


# Writing a NetParameter: the field numbers are those of caffe.proto.


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(values, old=False):
    """A BlobProto: with a shape, or with the four sizes that everything had before."""
    if old:
        sizes = (1, 1, 1, *values.shape)[-4:] if values.ndim < 4 else values.shape
        shape = b"".join(field(number, size) for number, size in enumerate(sizes, start=1))
    else:
        shape = field(7, field(1, b"".join(map(varint, values.shape))))
    return shape + field(5, values.astype("<f4").tobytes())


def layer(name, blobs=(), old=False):
    """The field of a network that holds a V1LayerParameter (old) or a LayerParameter."""
    where, name_number, blobs_number = (2, 4, 6) if old else (100, 1, 7)
    parts = [field(name_number, name.encode()), *(field(blobs_number, blob(each, old)) for each in blobs)]
    return field(where, b"".join(parts))


def caffemodel(blobs, old=False):
    """A network: its layers with weights, and some without."""
    layers = [layer("data", old=old)]
    for name, values in blobs.items():
        layers += [layer(name, values, old), layer(f"relu/{name}", old=old)]
    return field(1, b"CaffeNet") + b"".join(layers)


# The published deploy files, as rows: name, kind, inputs, and what the kind needs.


def conv(name, inputs, filters, size, stride=1, pad=0, group=1):
    return (
        name,
        "conv",
        inputs,
        {"filters": filters, "size": size, "stride": stride, "pad": pad, "group": group},
    )


def pool(name, inputs, size=3, stride=2, pad=0):
    return name, "pool", inputs, {"size": size, "stride": stride, "pad": pad}


def norm(name, inputs):
    return name, "norm", inputs, {}


def ends(features, classifier, classes):
    return [("CAM_pool", "mean", features, {}), (classifier, "dense", "CAM_pool", {"units": classes})]


INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def inception(block, x, filters):
    name = f"inception_{block}"
    return [
        conv(f"{name}/1x1", x, filters[0], 1),
        conv(f"{name}/3x3_reduce", x, filters[1], 1),
        conv(f"{name}/3x3", f"{name}/3x3_reduce", filters[2], 3, pad=1),
        conv(f"{name}/5x5_reduce", x, filters[3], 1),
        conv(f"{name}/5x5", f"{name}/5x5_reduce", filters[4], 5, pad=2),
        pool(f"{name}/pool", x, stride=1, pad=1),
        conv(f"{name}/pool_proj", f"{name}/pool", filters[5], 1),
        (f"{name}/output", "concat", [f"{name}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj")], {}),
    ]


def googlenet(last):
    rows = [
        conv("conv1/7x7_s2", "data", 64, 7, stride=2, pad=3),
        pool("pool1/3x3_s2", "conv1/7x7_s2"),
        norm("pool1/norm1", "pool1/3x3_s2"),
        conv("conv2/3x3_reduce", "pool1/norm1", 64, 1),
        conv("conv2/3x3", "conv2/3x3_reduce", 192, 3, pad=1),
        norm("conv2/norm2", "conv2/3x3"),
        pool("pool2/3x3_s2", "conv2/norm2"),
    ]
    x = "pool2/3x3_s2"
    for block, filters in INCEPTIONS.items():
        if block in ("4a", "5a"):
            rows.append(pool(f"pool{3 if block == '4a' else 4}/3x3_s2", x))
            x = rows[-1][0]
        rows += inception(block, x, filters)
        x = f"inception_{block}/output"
        if block == last:
            return rows, x


def googlenet_cam(classes):
    rows, x = googlenet("4e")
    return [*rows, conv("CAM_conv", x, 1024, 3, pad=1, group=2), *ends("CAM_conv", "CAM_fc", classes)]


def original_googlenet(classes):
    rows, x = googlenet("5b")
    return [*rows, *ends(x, "loss3/classifier", classes)]


def vgg16_convolutions():
    rows, x = [], "data"
    for block, (count, filters) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1):
        for index in range(1, count + 1):
            rows.append(conv(f"conv{block}_{index}", x, filters, 3, pad=1))
            x = rows[-1][0]
        rows.append(pool(f"pool{block}", x, size=2))
        x = rows[-1][0]
    return rows


def vgg16_cam(classes):
    rows = vgg16_convolutions()[:-1]
    return [*rows, conv("CAM_conv", "conv5_3", 1024, 3, pad=1, group=2), *ends("CAM_conv", "CAM_fc", classes)]


def alexnet_convolutions(pool_first, conv5):
    rows, x = [], "data"
    for index, row in enumerate([(96, 11, 4, 0, 1), (256, 5, 1, 2, 2)], start=1):
        rows.append(conv(f"conv{index}", x, *row))
        between = [norm, pool] if not pool_first else [pool, norm]
        for make in between:
            rows.append(make(f"{make.__name__}{index}", rows[-1][0]))
        x = rows[-1][0]
    return [
        *rows,
        conv("conv3", x, 384, 3, pad=1),
        conv("conv4", "conv3", 384, 3, pad=1, group=2),
        conv("conv5", "conv4", conv5, 3, pad=1, group=2),
    ]


def alexnet_plus_cam(classes):
    return [
        *alexnet_convolutions(True, 384),
        pool("pool5", "conv5", stride=1),
        conv("conv6", "pool5", 512, 3, pad=1, group=2),
        conv("conv7", "conv6", 512, 3, pad=1, group=2),
        *ends("conv7", "fc9", classes),
    ]


def fully_connected(classes):
    units = {"fc6": 4096, "fc7": 4096, "fc8": classes}
    return [(name, "dense", x, {"units": units[name], "relu": name != "fc8"})
            for x, name in pairwise(["pool5", *units])]  # fmt: skip


def alexnet(classes):
    return [*alexnet_convolutions(False, 256), pool("pool5", "conv5"), *fully_connected(classes)]


def nin(classes):
    rows, x = [], "data"
    blocks = [(96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1)]
    for index, (filters, size, stride, pad) in enumerate(blocks, start=1):
        rows.append(conv(f"conv{index}", x, filters, size, stride, pad))
        rows.append(conv(f"cccp{2 * index - 1}", rows[-1][0], filters, 1))
        rows.append(conv(f"cccp{2 * index}", rows[-1][0], filters, 1))
        rows.append(pool(f"pool{index}", rows[-1][0]))
        x = rows[-1][0]
    return [
        *rows,
        conv("conv4-1024", x, 1024, 3, pad=1),
        conv("cccp7-1024", "conv4-1024", 1024, 1),
        conv("cccp8-1024", "cccp7-1024", classes, 1),
        ("CAM_pool", "mean", "cccp8-1024", {}),
    ]


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


def random_blobs(rows, image_size, seed=0):
    """Kernel and bias of every layer with weights, scaled so that activations keep their size."""
    rng, shapes, blobs = np.random.default_rng(seed), {"data": (3, image_size)}, {}
    for name, kind, inputs, how in rows:
        channels, size = (sum(shapes[x][0] for x in inputs), 0) if kind == "concat" else shapes[inputs]
        if kind == "concat":
            size = shapes[inputs[0]][1]
        if kind in ("conv", "pool"):
            over = size + 2 * how["pad"] - how["size"]
            size = (-(-over // how["stride"]) if kind == "pool" else over // how["stride"]) + 1
        if kind == "mean":
            size = 1
        if kind == "conv":
            shape = (how["filters"], channels // how["group"], how["size"], how["size"])
        elif kind == "dense":
            shape = (how["units"], channels * size * size)
            size = 1
        if kind in ("conv", "dense"):
            kernel = rng.standard_normal(shape, "float32") * np.sqrt(2 / np.prod(shape[1:]), dtype="float32")
            blobs[name] = [kernel, rng.standard_normal(shape[0], "float32") * np.float32(0.1)]
            channels = shape[0]
        shapes[name] = channels, size
    return blobs


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
