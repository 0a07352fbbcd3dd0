"""Every network of the registry, and everything `build_model` refuses."""

import keras
import numpy as np
import pytest

from each_network import each_network
from keras_cam import build_localizer, build_model, find_classification_head, list_models
from keras_cam.graph.head import find_head
from keras_cam.models.registry import MODELS

WITHOUT_MAPS = ("alexnet", "vgg16", "vgg19")


@pytest.fixture(autouse=True)
def clear_session():
    yield
    keras.backend.clear_session()


# The registry keeps its word.


# The others of torchvision are built in test_torchvision_weights.py, too.
SMALL_NETWORKS = [
    name for name in list_models() if MODELS[name].parameters <= 12e6 and not name.startswith("torchvision_")
]


@each_network(list_models(), SMALL_NETWORKS)
def test_a_network_is_what_the_registry_says(name):
    spec, model = MODELS[name], build_model(name)
    assert model.count_params() == spec.parameters
    assert model.input_shape == (None, *spec.input_size, 3)
    assert model.output_shape == (None, 1000)
    assert model.name == name
    assert {layer.name for layer in model.layers} >= {"images", "normalization", "head"}
    if spec.map_size is None:
        assert name in WITHOUT_MAPS
    else:
        head = find_head(model, method="cam")
        assert head.features[0].shape[1:3] == spec.map_size


# Small ones of every family, as a user has them: two classes or three, small images.
SMALL = {
    "alexnet_gap": 80,
    "alexnet_star_gap": 80,
    "vgg16_gap": 64,
    "googlenet": 64,
    "googlenet_gap": 64,
    "nin_gap": 80,
    "efficientnet_lite0": 64,
    "mobilenet": 64,
    "mobilenet_v3_small": 64,
    "efficientnet_b0": 64,
    "torchvision_resnet18": 64,
}
every_family = pytest.mark.parametrize("name", SMALL)


def build_small(name, **arguments):
    return build_model(name, classes=3, input_shape=(SMALL[name], SMALL[name] + 16, 3), **arguments)


@every_family
@pytest.mark.filterwarnings("ignore:The map has one cell")
def test_maps_explain_the_logits(name, randomize, photos, assert_maps_explain):
    model = randomize(build_small(name))
    images = photos(2, *model.input_shape[1:3])
    assert_maps_explain(build_localizer(model, "all"), model(images), images)


@pytest.mark.filterwarnings("ignore:The map has one cell")
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["alexnet_gap", "nin_gap", "efficientnet_lite0", "mobilenet"])
def test_maps_explain_the_logits_in_mixed_precision(name, policy, randomize, photos, assert_maps_explain):
    keras.config.set_dtype_policy(policy)
    model = randomize(build_small(name))
    images = photos(2, *model.input_shape[1:3])
    logits = np.asarray(model(images))
    assert logits.dtype == "float32"
    localizer = build_localizer(model, "all")
    assert model.get_layer("features").compute_dtype == policy.removeprefix("mixed_")
    assert_maps_explain(localizer, logits, images, atol=1e-4 * np.ptp(logits))


@pytest.mark.parametrize("name", ["alexnet_gap", "efficientnet_lite0", "mobilenet"])
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_come_back_from_a_file(name, suffix, randomize, photos, tmp_path):
    model, path = randomize(build_small(name)), tmp_path / f"model{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    images = photos(1, *model.input_shape[1:3])
    for weights in (path, str(path)):
        np.testing.assert_array_equal(build_small(name, weights=weights)(images), model(images))


def test_a_saved_classifier_loads_without_its_builder(randomize, photos, tmp_path):
    model = randomize(build_small("alexnet_gap"))
    model.save(tmp_path / "model.keras")
    images = photos(1, *model.input_shape[1:3])
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(images), model(images))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_activation_follows_the_same_logits(activation, photos):
    logits = build_small("mobilenet")
    model = build_small("mobilenet", classifier_activation=activation)
    model.set_weights(logits.get_weights())
    images = photos(2, *model.input_shape[1:3])
    expected = getattr(keras.ops, activation)(logits(images))
    np.testing.assert_allclose(model(images), expected, atol=1e-6)
    assert model.layers[-1].name == "predictions"
    assert find_classification_head(model).activation == activation


def test_options_reach_the_network():
    model = build_small("alexnet_gap", head_filters=32, head_groups=2, dropout=0.25)
    assert model.get_layer("features").filters == 32
    assert model.get_layer("features").groups == 2
    assert model.get_layer("dropout").rate == 0.25
    assert "dropout" not in [layer.name for layer in build_small("mobilenet").layers]


@pytest.mark.parametrize("name", ["vgg16_gap", "mobilenet"])
def test_max_pooling_is_built_but_has_no_exact_map(name):
    model = build_small(name, pooling="max")
    with pytest.raises(ValueError, match=r"layer 'pooler' \(GlobalMaxPooling2D\).*not a mean of positions"):
        build_localizer(model, method="cam")
    assert build_localizer(model).map_kind == "gradient"


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_fully_connected_networks_have_no_exact_map(name):
    model = build_model(name, classes=2)
    with pytest.raises(ValueError, match=r"Received: layer 'fc\w+' \(Dense\) after the features"):
        build_localizer(model, method="cam")
    assert build_localizer(model).map_kind == "gradient"


def test_every_network_of_keras_applications_can_be_built_by_name():
    constructors = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {spec.arguments.get("name") for spec in MODELS.values()} >= constructors - {"VGG16", "VGG19"}
    assert MODELS.keys() >= {"vgg16", "vgg19"}


# Refused.


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet", {}, r"`name` must be one of \['alexnet_gap', .*\]\. Received: name='resnet'"),
        (
            "nasnet_mobile",
            {"output_stride": 16},
            r"takes the options \['pooling', 'dropout'\].*output_stride=16",
        ),
        (
            "vgg16_gap",
            {"output_stride": 8},
            r"'vgg16_gap' takes the options .*'head_groups'\].*output_stride=8",
        ),
        (
            "alexnet",
            {"pooling": "avg"},
            r"'alexnet' takes the options \['dropout'\]\. Received: pooling='avg'",
        ),
        ("mobilenet", {"head_filters": 8}, r"'mobilenet' takes the options .* Received: head_filters=8"),
        ("mobilenet", {"pooling": "mean"}, r'`pooling` must be "avg" or "max"\. Received: pooling=\'mean\''),
        ("mobilenet", {"dropout": 1.0}, r"`dropout` must be in \[0, 1\)\. Received: dropout=1\.0"),
        ("mobilenet", {"dropout": -0.5}, r"`dropout` must be in \[0, 1\)\. Received: dropout=-0\.5"),
        ("mobilenet", {"classes": 0}, r"`classes` must be a positive integer\. Received: classes=0"),
        ("mobilenet", {"classes": 2.5}, r"`classes` must be a positive integer\. Received: classes=2\.5"),
        ("mobilenet", {"classes": True}, r"`classes` must be a positive integer\. Received: classes=True"),
        (
            "mobilenet",
            {"classifier_activation": "relu"},
            r'must be "softmax", "sigmoid" or None\. Received: classifier_activation=\'relu\'',
        ),
        ("mobilenet", {"backbone_weights": "coco"}, r"any other file goes to `weights`\. Received: .*'coco'"),
        (
            "alexnet_gap",
            {"backbone_weights": "imagenet"},
            r"has no published ImageNet weights: .*not published for Keras",
        ),
        (
            "alexnet_gap",
            {"weights": "imagenet"},
            r"'alexnet_gap' has no weights=\"imagenet\": .*not published for Keras",
        ),
        (
            "vgg16_gap",
            {"weights": "imagenet"},
            r"only its convolutions fit\. Use backbone_weights=\"imagenet\" and train the head",
        ),
        ("mobilenet", {"input_shape": (64, 64)}, r"must be \(height, width, 3\).*input_shape=\(64, 64\)"),
        ("mobilenet", {"input_shape": (64, 64, 1)}, r"must be \(height, width, 3\), RGB.*\(64, 64, 1\)"),
        ("mobilenet", {"input_shape": (0, 64, 3)}, r"must be \(height, width, 3\).*\(0, 64, 3\)"),
        (
            "mobilenet",
            {"weights": "model.pt"},
            r"path of a .*, \.weights\.h5 or \.keras file\. .*'model\.pt'",
        ),
    ],
)
def test_arguments_out_of_range_are_named_with_the_options(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, **arguments)


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`weights` must be a file\. Received: .*none\.weights\.h5"):
        build_small("mobilenet", weights=tmp_path / "none.weights.h5")


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # Keras' own, before it fails
def test_weights_for_another_number_of_classes_do_not_fit(tmp_path):
    build_small("mobilenet").save_weights(tmp_path / "three.weights.h5")
    with pytest.raises(ValueError, match=r"(?s)head.*1024, 3|1024, 3.*head"):
        build_model("mobilenet", tmp_path / "three.weights.h5", classes=4, input_shape=(64, 64, 3))
