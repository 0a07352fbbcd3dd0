"""Finer maps by dilation: the sizes they get, and the coarse network's values at every second position."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_cam import build_localizer, build_model
from keras_cam.graph.dilation import dilate
from keras_cam.layers import DilatedPooling2D


@pytest.fixture(autouse=True)
def clear_session():
    yield
    keras.backend.clear_session()


def build(name, size, output_stride=None):
    return build_model(name, classes=3, input_shape=(size, size, 3), output_stride=output_stride)


def features(model):
    return keras.Model(model.input, model.get_layer("features").output)


# Network, image size, first position, sizes of the maps at 32, 16 and 8. The first position of the fine map
# that was also one of the coarse map: an even map halved by a convolution with "same" padding, or padding on
# the right, keeps its odd positions, anything else its even ones.
NETWORKS = [
    ("efficientnet_lite0", 96, 1, (3, 6, 12)),
    ("efficientnet_lite0", 72, 0, (3, 5, 9)),  # "same" pads maps of 9 and 5 positions on both sides
    ("mobilenet", 64, 1, (2, 4, 8)),
    pytest.param("mobilenet_v2", 96, 1, (3, 6, 12), marks=pytest.mark.sweep),
    pytest.param("resnet50", 64, 0, (2, 4, 8), marks=pytest.mark.sweep),
    pytest.param("resnet50_v2", 64, 0, (2, 4, 8), marks=pytest.mark.sweep),
    pytest.param("densenet121", 64, 0, (2, 4, 8), marks=pytest.mark.sweep),
    # Unpadded convolutions: 15 -> 7 -> 3, where the dilated ones lose two and four positions.
    pytest.param("inception_v3", 139, 0, (3, 5, 9), marks=pytest.mark.sweep),
    pytest.param("xception", 71, 0, (3, 5, 9), marks=pytest.mark.sweep),
]


@pytest.mark.parametrize(("name", "size", "first", "sizes"), NETWORKS)
def test_the_fine_map_contains_the_coarse_one(name, size, first, sizes, randomize, photos):
    model, images = randomize(build(name, size)), photos(1, size, size)
    coarse = np.asarray(features(model)(images))
    assert np.ptp(coarse) > 0
    assert coarse.shape[1:3] == (sizes[0],) * 2
    for output_stride, step, fine_size in ((16, 2, sizes[1]), (8, 4, sizes[2])):
        finer = build(name, size, output_stride)
        finer.set_weights(model.get_weights())
        fine = np.asarray(features(finer)(images))
        assert fine.shape[1:3] == (fine_size, fine_size)
        start = first * (step - 1)
        np.testing.assert_allclose(fine[:, start::step, start::step], coarse, atol=1e-3 * np.ptp(coarse))


# These weigh their channels by their means over the whole map, which are not those of every second position.
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0", "efficientnet_v2_b0"])
def test_maps_of_networks_that_attend_to_the_whole_image_double(name):
    maps = build_localizer(build(name, 96, 16), 1).output["class_activation_maps"]
    assert maps.shape[2:] == (6, 6)


def test_odd_sizes_on_the_way_double_almost():
    model = build_model("efficientnet_lite2", classes=3, output_stride=16)  # 260 x 260, maps of 9 x 9
    assert features(model).output.shape[1:3] == (17, 17)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small"])
def test_a_dilated_classifier_saves_and_its_maps_explain_it(
    name, randomize, photos, assert_maps_explain, tmp_path
):
    model, images = randomize(build(name, 64, 16)), photos(2, 64, 64)
    localizer = build_localizer(model, "all")
    assert_maps_explain(localizer, model(images), images)
    localizer.save(tmp_path / "localizer.keras")
    assert_maps_explain(keras.models.load_model(tmp_path / "localizer.keras"), model(images), images)
    model.save_weights(tmp_path / "model.weights.h5")
    restored = build_model(name, tmp_path / "model.weights.h5", 3, (64, 64, 3), output_stride=16)
    np.testing.assert_allclose(restored(images), model(images), atol=1e-5)
    coarse = build_model(name, tmp_path / "model.weights.h5", 3, (64, 64, 3))
    assert features(coarse)(images).shape[1:3] == (2, 2)


def test_images_of_any_size_get_finer_maps(randomize, photos):
    localizer = build_localizer(
        build_model("efficientnet_lite0", classes=3, input_shape=(None, None, 3), output_stride=16)
    )
    assert localizer(photos(1, 64, 96))["class_activation_maps"].shape == (1, 3, 4, 6)


# A network of one's own, with every kind of layer that has a stride.


def own_network(size=64, kernel_size=3):
    images = keras.Input((size, size, 3))
    x = layers.Conv2D(4, kernel_size, strides=2, padding="same", activation="relu")(images)
    x = layers.SeparableConv2D(6, kernel_size, strides=2, padding="same", activation="relu")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.DepthwiseConv2D(kernel_size, padding="same")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(5, kernel_size, padding="same", activation="relu")(x)
    x = layers.AveragePooling2D(2)(x)
    return keras.Model(images, layers.Conv2D(5, kernel_size, padding="same")(x))


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_network_of_ones_own_can_be_dilated(kernel_size, randomize, photos, tmp_path):
    model, images = randomize(own_network(96, kernel_size)), photos(2, 96, 96)
    coarse = model(images)
    assert coarse.shape[1:3] == (3, 3)
    assert dilate(model, 32) is model
    for output_stride, step in ((16, 2), (8, 4)):
        dilated = dilate(model, output_stride)
        np.testing.assert_allclose(dilated(images)[:, ::step, ::step], coarse, atol=1e-4)
        dilated.save(tmp_path / "dilated.keras")
        loaded = keras.models.load_model(tmp_path / "dilated.keras")
        np.testing.assert_array_equal(loaded(images), dilated(images))


@pytest.mark.parametrize("output_stride", [0, 4, 12, 64, -8, "16", 16.5])
def test_other_strides_are_refused(output_stride):
    with pytest.raises(
        ValueError, match=rf"one of \[8, 16, 32\]\. Received: output_stride={output_stride!r}"
    ):
        build("mobilenet_v2", 64, output_stride)


def test_a_stride_that_the_network_does_not_reach_is_refused():
    backbone = keras.applications.VGG16(include_top=False, weights=None, input_shape=(64, 64, 3))
    until_stride_16 = keras.Model(backbone.input, backbone.get_layer("block5_conv3").output)
    with pytest.raises(ValueError, match=r"must be one of \[8, 16\]\. Received: output_stride=32"):
        dilate(until_stride_16, 32)
    assert dilate(until_stride_16, 8).output.shape == (None, 8, 8, 512)


@pytest.mark.parametrize("output_stride", [16, 8])
def test_a_network_that_crops_is_refused(output_stride):
    backbone = keras.applications.NASNetMobile(include_top=False, weights=None, input_shape=(64, 64, 3))
    with pytest.raises(ValueError, match=r"without cropping or resizing\. Received: layer '\w+' \(\w+2D\)"):
        dilate(backbone, output_stride)


def test_cropping_the_image_itself_is_fine(randomize, photos):
    images = keras.Input((80, 80, 3))
    x = layers.Cropping2D(8)(images)
    for filters in (4, 4, 6, 6, 8):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    model, pixels = randomize(keras.Model(images, x)), photos(1, 80, 80)
    np.testing.assert_allclose(dilate(model, 16)(pixels)[:, 1::2, 1::2], model(pixels), rtol=1e-4)


# The pooling that a dilated network needs.


def column(*values):
    return np.array(values, "float32").reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"reduction": "max", "dilation_rate": 1}, [3, 4, 4, 5, 5]),
        ({"reduction": "max", "dilation_rate": 2}, [4, 1, 5, 1, 5]),
        ({"reduction": "average", "dilation_rate": 1}, [2, 8 / 3, 2, 10 / 3, 3]),
        ({"reduction": "average", "dilation_rate": 2}, [3.5, 1, 4, 1, 4.5]),
        ({"reduction": "max", "dilation_rate": 2, "padding": "valid"}, [5]),
        ({"reduction": "average", "dilation_rate": 1, "padding": "valid"}, [8 / 3, 2, 10 / 3]),
    ],
)
def test_pooling_by_hand(arguments, expected):
    layer = DilatedPooling2D((3, 1), **arguments)
    images = column(3, 1, 4, 1, 5)
    np.testing.assert_allclose(layer(images), column(*expected), rtol=1e-6)
    assert layer.compute_output_shape(images.shape) == column(*expected).shape


@pytest.mark.parametrize(("reduction", "strided"), [("max", "MaxPooling2D"), ("average", "AveragePooling2D")])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_pooling_has_the_values_of_the_strided_one(reduction, strided, padding):
    images = np.random.default_rng(0).normal(size=(2, 9, 7, 3)).astype("float32")
    fine = DilatedPooling2D((3, 3), 1, reduction, padding)(images)
    coarse = getattr(layers, strided)(3, strides=2, padding=padding)(images)
    np.testing.assert_allclose(fine[:, ::2, ::2], coarse, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_pooling_in_half_precision_ignores_the_border(policy):
    layer = DilatedPooling2D((3, 1), reduction="max", dtype=policy)
    np.testing.assert_array_equal(np.asarray(layer(-column(3, 1, 4)), "float32"), -column(1, 1, 1))


def test_an_unknown_reduction_is_refused():
    with pytest.raises(
        ValueError, match=r'`reduction` must be "max" or "average"\. Received: reduction=\'sum\''
    ):
        DilatedPooling2D((2, 2), reduction="sum")
