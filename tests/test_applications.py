"""The networks of `keras.applications`: the same logits as Keras' own, from raw pixels."""

import keras
import numpy as np
import pytest

from each_network import each_network
from keras_cam import build_localizer, build_model
from keras_cam.models.registry import MODELS, has_offline_weights

A = keras.applications

# One member of each family, the smallest image it takes, and how Keras prepares pixels for it. (EfficientNet
# B0 to B7 see their pixels differently with and without published weights: they have tests of their own.)
FAMILIES = {
    "resnet50": (A.ResNet50, 64, A.resnet.preprocess_input),
    "resnet50_v2": (A.ResNet50V2, 64, A.resnet_v2.preprocess_input),
    "densenet121": (A.DenseNet121, 64, A.densenet.preprocess_input),
    "mobilenet": (A.MobileNet, 64, A.mobilenet.preprocess_input),
    "mobilenet_v2": (A.MobileNetV2, 64, A.mobilenet_v2.preprocess_input),
    "efficientnet_v2_b0": (A.EfficientNetV2B0, 64, A.efficientnet_v2.preprocess_input),
    "inception_v3": (A.InceptionV3, 75, A.inception_v3.preprocess_input),
    "xception": (A.Xception, 71, A.xception.preprocess_input),
    "nasnet_mobile": (A.NASNetMobile, 64, A.nasnet.preprocess_input),
    "convnext_tiny": (A.ConvNeXtTiny, 64, A.convnext.preprocess_input),
    "vgg16": (A.VGG16, 32, A.vgg16.preprocess_input),
}
EVERYDAY = ("mobilenet", "mobilenet_v2", "vgg16")
CLASSES = 5


@pytest.fixture(autouse=True)
def clear_session():
    yield
    keras.backend.clear_session()


def transplant(published, model):
    """Both have the same weights in the same order; MobileNet's classifier is a 1x1 convolution."""
    pairs = zip(published.get_weights(), model.get_weights(), strict=True)
    model.set_weights([theirs.reshape(ours.shape) for theirs, ours in pairs])


def assert_close(ours, theirs, rtol=1e-4):
    """To a part of the spread of the logits."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert np.ptp(theirs) > 1e-3, "nothing to compare"
    np.testing.assert_allclose(ours, theirs, atol=rtol * np.ptp(theirs))


@each_network(FAMILIES, EVERYDAY)
def test_logits_are_those_of_keras_from_raw_pixels(name, randomize, photos):
    constructor, size, preprocess = FAMILIES[name]
    shape = (size, size, 3)
    published = constructor(weights=None, classes=CLASSES, input_shape=shape, classifier_activation=None)
    randomize(published)
    model = build_model(name, classes=CLASSES, input_shape=shape)
    transplant(published, model)
    images = photos(2, size, size)
    assert_close(model(images), published(preprocess(images.copy())), rtol=1e-3)


@each_network(FAMILIES, EVERYDAY)
def test_the_parameters_are_the_published_ones(name):
    assert MODELS[name].parameters == FAMILIES[name][0](weights=None).count_params()


# Published weights, from a download that is not one.


@pytest.fixture
def published_as(tmp_path, monkeypatch, randomize):
    """Publish random weights: what Keras would download comes from a file that this makes."""

    def published_as(constructor):
        whole = randomize(constructor(weights=None))
        convolutions = constructor(weights=None, include_top=False, input_shape=(224, 224, 3))
        convolutions.set_weights(whole.get_weights()[: len(convolutions.weights)])
        folder = tmp_path / "models"
        folder.mkdir()

        def get_file(fname, *_, **__):
            model = convolutions if "notop" in fname.replace("_", "") else whole
            path = folder / f"{fname}.weights.h5"
            model.save_weights(path)
            path.with_name(fname).touch()
            return str(path)

        monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    return published_as


PUBLISHED = {
    "mobilenet_v2": (A.MobileNetV2, A.mobilenet_v2.preprocess_input),
    "mobilenet": (A.MobileNet, A.mobilenet.preprocess_input),
    "efficientnet_b0": (A.EfficientNetB0, A.efficientnet.preprocess_input),
}


@each_network(PUBLISHED, EVERYDAY)
def test_imagenet_weights_are_the_published_classifier(name, published_as, photos, tmp_path):
    constructor, preprocess = PUBLISHED[name]
    published_as(constructor)
    assert not has_offline_weights(name)
    model = build_model(name, weights="imagenet")
    assert has_offline_weights(name)

    images = photos(1, 224, 224)
    expected = constructor(weights="imagenet", classifier_activation=None)(preprocess(images.copy()))
    assert_close(model(images), expected)

    model.save_weights(tmp_path / "model.weights.h5")
    restored = build_model(name, weights=tmp_path / "model.weights.h5")
    assert_close(restored(images), expected)


def test_imagenet_weights_of_the_convolutions_suit_any_number_of_classes(published_as, photos, tmp_path):
    published_as(A.EfficientNetB0)
    shape = (96, 96, 3)
    model = build_model("efficientnet_b0", classes=3, input_shape=shape, backbone_weights="imagenet")
    theirs = A.EfficientNetB0(weights="imagenet", include_top=False, input_shape=shape)
    images = photos(1, 96, 96)
    features = keras.Model(model.input, model.get_layer("features").output)(images)
    assert_close(features, theirs(images))
    # The classes are trained later, somewhere, and saved; whoever loads them needs no download.
    model.save(tmp_path / "model.keras")
    restored = build_model("efficientnet_b0", tmp_path / "model.keras", classes=3, input_shape=shape)
    assert_close(restored(images), model(images))


def test_imagenet_weights_have_their_own_thousand_classes():
    with pytest.raises(ValueError, match=r'use backbone_weights="imagenet" for another number.*classes=10'):
        build_model("mobilenet_v2", weights="imagenet", classes=10)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_large"])
def test_mobilenet_v3_has_no_published_classifier_with_an_exact_map(name):
    message = (
        rf"'{name}' has no weights=\"imagenet\": .*hidden layer with a nonlinearity.*Use backbone_weights"
    )
    with pytest.raises(ValueError, match=message):
        build_model(name, weights="imagenet")
    constructor = {"mobilenet_v3_small": A.MobileNetV3Small, "mobilenet_v3_large": A.MobileNetV3Large}[name]
    assert (
        build_localizer(constructor(weights=None, classes=3, input_shape=(64, 64, 3))).map_kind == "gradient"
    )
