"""Networks give the same as SavedModels, in all signatures, as the Keras localizers do."""

import numpy as np
import pytest
import tensorflow as tf

import keras_cam
from each_network import each_network
from keras_cam.export import save_saved_model

SIZES = {
    "alexnet_gap": 96,
    "vgg16_gap": 64,
    "googlenet_gap": 64,
    "nin_gap": 96,
    "efficientnet_lite0": 224,
    "resnet50": 64,
    "resnet50_v2": 64,
    "densenet121": 64,
    "mobilenet": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_b0": 64,
    "inception_v3": 96,
    "xception": 96,
    "nasnet_mobile": 64,
}
EVERYDAY = ("alexnet_gap", "efficientnet_lite0", "mobilenet_v3_small")
TOLERANCE = 1e-4


def assert_close(outputs, expected):
    assert set(outputs) == set(expected)
    for name, values in expected.items():
        scale = max(1.0, float(np.max(np.abs(values))))  # random weights can make maps of any size
        np.testing.assert_allclose(outputs[name], values, rtol=0, atol=TOLERANCE * scale, err_msg=name)


def check(model, images, folder, **options):
    localizer = keras_cam.build_localizer(model, top_k=2, **options)
    saved = tf.saved_model.load(save_saved_model(localizer, folder / "cam" / "1"))
    expected = localizer(images)
    assert np.ptp(expected["class_activation_maps"]) > 0
    assert_close(saved.signatures["localize"](images=images), expected)
    assert_close(saved.signatures["serving_default"](images=images), expected)
    encoded = [tf.io.encode_png(image.astype("uint8")).numpy() for image in images]
    assert_close(saved.signatures["localize_bytes"](image_bytes=tf.constant(encoded)), expected)
    classified = saved.signatures["classify"](images=images)
    np.testing.assert_allclose(tf.nn.softmax(classified["logits"]), classified["probabilities"], atol=1e-5)
    best = tf.math.top_k(classified["probabilities"], 2)
    rows = np.argsort(-expected["detection_scores"].numpy(), axis=1)
    scores = np.take_along_axis(expected["detection_scores"].numpy(), rows, axis=1)
    np.testing.assert_allclose(best.values, scores, rtol=TOLERANCE, atol=TOLERANCE)
    asked = expected["detection_classes"]
    found = saved.signatures["cam"](images=images, class_ids=asked)
    kinds = expected.keys() & {"class_activation_maps", "localization_maps", "detection_boxes"}
    logits = {"logits": classified["logits"].numpy()}
    assert_close(found, {**{name: expected[name].numpy() for name in kinds}, **logits})


@pytest.mark.filterwarnings("ignore:The map has one cell")
@each_network(SIZES, EVERYDAY)
def test_every_family_is_saved_as_it_is(name, randomize, photos, tmp_path):
    size = SIZES[name]
    if name == "efficientnet_lite0":
        model = keras_cam.build_model(name, weights="imagenet")
    else:
        model = randomize(keras_cam.build_model(name, classes=4, input_shape=(size, size, 3)))
    check(model, photos(3, size, size), tmp_path, refine="none")


def test_the_default_model_is_saved_with_refined_maps(photos, tmp_path):
    model = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
    check(model, photos(2, 224, 224), tmp_path)
