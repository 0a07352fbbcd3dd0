import keras
import numpy as np
import pytest

from keras_cam.models import heads
from keras_cam.models.alexnet import alexnet, alexnet_convolutions, alexnet_gap, alexnet_star_gap
from keras_cam.models.googlenet import INCEPTION_FILTERS, googlenet, googlenet_convolutions, googlenet_gap
from keras_cam.models.nin import nin_gap
from keras_cam.models.vgg import vgg, vgg_convolutions, vgg_gap

# Every network that ends in global pooling, and its published image size and map size.
POOLED = {
    "alexnet_gap": (alexnet_gap, {}, 227, 13),
    "alexnet_star_gap": (alexnet_star_gap, {}, 227, 11),
    "vgg16_gap": (vgg_gap, {"name": "vgg16"}, 224, 14),
    "vgg19_gap": (vgg_gap, {"name": "vgg19"}, 224, 14),
    "googlenet": (googlenet, {}, 224, 7),
    "googlenet_gap": (googlenet_gap, {}, 224, 14),
    "nin_gap": (nin_gap, {}, 227, 6),
}
with_cam_convolution = pytest.mark.parametrize("name", ["alexnet_gap", "vgg16_gap", "googlenet_gap"])
every_pooled_network = pytest.mark.parametrize("name", POOLED)


def build(network, size=None, **arguments):
    images = keras.Input((size, size, 3), name="images")
    return keras.Model(images, network(images, **arguments))


def build_pooled(name, size=None, classes=10, **arguments):
    network, fixed, *_ = POOLED[name]
    return build(network, size, classes=classes, **fixed, **arguments)


def conv(kernel_size, in_channels, filters):
    """Parameters of a convolution: one kernel and one bias a filter."""
    return kernel_size**2 * in_channels * filters + filters


@pytest.fixture
def restore_dtype_policy():
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


# Published sizes.


def test_alexnet_has_the_published_parameters():
    # convolutions 34,944 + 307,456 + 885,120 + 663,936 + 442,624 = 2,334,080
    # fc6 37,752,832 + fc7 16,781,312 + fc8 4,097,000
    assert build(alexnet, 227, classes=1000).count_params() == 60_965_224


def test_vgg16_has_the_published_parameters():
    assert build(vgg, 224, classes=1000, name="vgg16").count_params() == 138_357_544


def test_vgg19_has_the_published_parameters():
    # The fully connected layers are those of VGG16: 102,764,544 + 16,781,312 + 4,097,000.
    assert build(vgg_convolutions, name="vgg19").count_params() + 123_642_856 == 143_667_240


def test_googlenet_has_the_published_parameters():
    # stem 9,472 + 4,160 + 110,784; 3a 163,696; 3b 388,736; 4a 376,176; 4b 449,160; 4c 510,104;
    # 4d 605,376; 4e 868,352; 5a 1,043,456; 5b 1,444,080; linear 1,025,000
    assert build(googlenet, classes=1000).count_params() == 6_998_552


def test_network_in_network_has_the_parameters_of_its_layers():
    # 34,944 + 2 * 9,312; 614,656 + 2 * 65,792; 885,120 + 2 * 147,840; 3,539,968 + 1,049,600 + 1,025,000
    assert build(nin_gap, classes=1000).count_params() == 7_595_176


def test_the_gap_networks_have_the_parameters_of_their_parts():
    linear = 1024 * 10 + 10
    assert build_pooled("alexnet_gap").count_params() == 2_334_080 + conv(3, 256, 1024) + linear
    assert build_pooled("vgg16_gap").count_params() == 14_714_688 + conv(3, 512, 1024) + linear
    until_4e = 6_998_552 - 1_043_456 - 1_444_080 - 1_025_000
    assert build_pooled("googlenet_gap").count_params() == until_4e + conv(3, 832, 1024) + linear


def test_alexnet_star_has_the_parameters_of_the_released_network():
    # conv1 to conv4 as in AlexNet; conv5, conv6 and conv7 have two groups: half the input channels.
    expected = 2_334_080 - 442_624 + conv(3, 192, 384) + conv(3, 192, 512) + conv(3, 256, 512) + 512 * 10 + 10
    assert build_pooled("alexnet_star_gap").count_params() == expected


# Maps.


@every_pooled_network
def test_the_maps_have_the_published_size(name):
    *_, image_size, map_size = POOLED[name]
    maps = build_pooled(name, image_size).get_layer("pooler").input
    assert maps.shape[1:3] == (map_size, map_size)


def test_the_backbones_have_the_published_shapes():
    at_227, at_224 = keras.Input((227, 227, 3)), keras.Input((224, 224, 3))
    assert alexnet_convolutions(at_227).shape == (None, 13, 13, 256)
    assert vgg_convolutions(at_224, "vgg16").shape == (None, 14, 14, 512)
    assert vgg_convolutions(at_224, "vgg19").shape == (None, 14, 14, 512)
    assert googlenet_convolutions(at_224, "inception_4e").shape == (None, 14, 14, 832)
    assert googlenet_convolutions(at_224, "inception_5b").shape == (None, 7, 7, 1024)


@every_pooled_network
def test_the_input_may_have_any_size(name):
    model = build_pooled(name)
    assert model.input_shape == (None, None, None, 3)
    assert model(np.zeros((1, 67, 99, 3), "float32")).shape == (1, 10)


@every_pooled_network
def test_the_layers_have_names_one_can_rely_on(name):
    names = {layer.name for layer in build_pooled(name).layers}
    assert names >= {"pooler", "head"}
    # The original GoogLeNet pools its last inception block itself; AlexNet-GAP has no dropout by default.
    assert ("features" in names) == (name != "googlenet")
    assert ("dropout" in names) == (name != "alexnet_gap")


def test_vgg_keeps_the_layer_names_of_keras():
    ours = [layer.name for layer in build(vgg_convolutions, name="vgg19").layers[1:]]
    assert ours[0] == "block1_conv1"
    assert ours[-1] == "block5_conv4"
    theirs = keras.applications.VGG19(weights=None, include_top=False).layers[1:-1]
    assert ours == [layer.name for layer in theirs]


def test_the_cam_of_network_in_network_is_its_classifier():
    model = build_pooled("nin_gap")
    maps_and_logits = keras.Model(model.input, [model.get_layer("head").output, model.output])
    maps, logits = maps_and_logits(np.random.default_rng(0).normal(size=(2, 99, 99, 3)))
    np.testing.assert_allclose(np.mean(maps, axis=(1, 2)), logits, atol=1e-6)
    assert np.min(maps) >= 0


@pytest.mark.parametrize("name", [name for name in POOLED if name != "googlenet"])
def test_max_pooling_takes_the_place_of_average_pooling(name):
    model = build_pooled(name, pooling="max")
    assert isinstance(model.get_layer("pooler"), keras.layers.GlobalMaxPooling2D)


@with_cam_convolution
def test_two_groups_halve_the_kernel_of_the_cam_convolution(name):
    one, two = (
        build_pooled(name, head_filters=64, head_groups=groups).get_layer("features").kernel
        for groups in (1, 2)
    )
    assert np.prod(one.shape) == 2 * np.prod(two.shape)


def test_alexnet_star_pools_before_it_normalizes_and_alexnet_after():
    def order(name):
        return [layer.name for layer in build_pooled(name).layers if layer.name in ("norm1", "pool1")]

    assert order("alexnet_gap") == ["norm1", "pool1"]
    assert order("alexnet_star_gap") == ["pool1", "norm1"]


# Computing.


@pytest.mark.usefixtures("restore_dtype_policy")
@pytest.mark.parametrize("name", ["alexnet_star_gap", "googlenet", "nin_gap"])
def test_logits_stay_float32_in_mixed_precision(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build_pooled(name)
    assert model.get_layer("conv2").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    assert model.get_layer("pooler").compute_dtype == "float32"


def test_grouped_convolutions_learn():
    model = build_pooled("alexnet_star_gap", classes=3)
    before = [weight.value.numpy() for weight in model.trainable_variables]
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).normal(size=(2, 99, 99, 3))
    assert np.isfinite(model.train_on_batch(images, np.array([0, 2])))
    for weight, old in zip(model.trainable_variables, before, strict=True):
        assert np.any(weight.value.numpy() != old), weight.path


# Errors.


@pytest.mark.parametrize(("network", "arguments"), [(alexnet, {}), (vgg, {"name": "vgg16"})])
def test_fully_connected_networks_ask_for_a_fixed_size(network, arguments):
    with pytest.raises(ValueError, match=r"needs images of a fixed size.*Received.*None, None"):
        build(network, classes=10, **arguments)


def test_an_unknown_pooling_is_named():
    with pytest.raises(ValueError, match=r"one of \('avg', 'max'\)\. Received: pooling='mean'"):
        heads.global_pooling(keras.Input((4, 4, 8)), "mean")


@pytest.mark.parametrize(("groups", "filters"), [(3, 12), (4, 6), (0, 8)])
def test_groups_must_divide_filters_and_channels(groups, filters):
    with pytest.raises(ValueError, match=rf"Received: groups={groups}, filters={filters}, input channels=8"):
        heads.cam_convolution(keras.Input((4, 4, 8)), filters, groups)


def test_unknown_variants_are_named():
    images = keras.Input((64, 64, 3))
    with pytest.raises(ValueError, match=r"\('vgg16', 'vgg19'\).*name='vgg11'"):
        vgg_convolutions(images, "vgg11")
    with pytest.raises(ValueError, match=rf"{next(iter(INCEPTION_FILTERS))}.*until='inception_6a'"):
        googlenet_convolutions(images, "inception_6a")
