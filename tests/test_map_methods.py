"""Map methods: numbers worked out by hand, identities, and the numbers of grad-cam and torchcam.

tests/make_map_method_outputs.py wrote these; they are not needed here.
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from map_method_head import CLASS_IDS, features, weights

from keras_cam.layers import ClassActivationHead
from keras_cam.map_methods import MAP_METHODS, Evidence, map_method
from keras_cam.map_methods.reciprocam import reciprocam
from keras_cam.ops.principal_component import principal_component

OTHERS = json.loads(Path(__file__).with_name("map_method_outputs.json").read_text())


def evidence_of(head, values, class_ids):
    """`Evidence` by the tape."""

    def pull_back(cotangents):
        classes = cotangents.shape[1]
        copies = tf.repeat(values, classes, axis=0)  # of each image one for each of its classes
        with tf.GradientTape() as tape:
            tape.watch(copies)
            logits = head(copies)
            total = tf.reduce_sum(logits * tf.reshape(cotangents, logits.shape))
        return tf.reshape(tape.gradient(total, copies), (len(values), classes, *values.shape[1:]))

    return Evidence(tf.constant(values), tf.constant(class_ids), head(values), pull_back, head)


def seeded_head(values):
    kernel, hidden, classifier = weights()
    pooled = ops.mean(ops.relu(ops.conv(values, kernel, padding="same")), axis=(1, 2))
    return ops.matmul(ops.tanh(ops.matmul(pooled, hidden)), classifier)


@pytest.fixture(scope="module")
def evidence():
    return evidence_of(seeded_head, features(), CLASS_IDS)


@pytest.fixture(scope="module")
def linear():
    """A linear head behind global average pooling: its evidence, and its class activation maps."""
    dense = keras.layers.Dense(5)
    dense.build((None, 6))
    dense.set_weights([np.random.default_rng(2).normal(size=weight.shape) for weight in dense.weights])
    head = ClassActivationHead([dense])
    return evidence_of(head, features(), CLASS_IDS), np.asarray(head(features(), CLASS_IDS))


POSITIONS = 4 * 5
LOGITS = np.take_along_axis(np.array(OTHERS["logits"]), CLASS_IDS, axis=1)[:, :, None, None]
# What their maps are multiplied by to be ours: they divide by the number of positions, or by the logit.
FACTORS = {
    **dict.fromkeys(
        (
            "gradcam",
            "layercam",
            "hirescam",
            "xgradcam",
            "elementwise",
            "eigengradcam",
            "finer:gradcam",
            "finer:layercam",
        ),
        POSITIONS,
    ),
    **dict.fromkeys(("gradcam++", "scorecam", "eigencam"), 1),
    "ablationcam": LOGITS,
}


def test_the_head_is_that_of_the_other_packages(evidence):
    np.testing.assert_allclose(evidence.logits, OTHERS["logits"], rtol=1e-4)


@pytest.mark.parametrize("name", FACTORS)
def test_maps_are_those_of_other_packages(name, evidence):
    maps, theirs = np.asarray(map_method(name)(evidence)), np.array(OTHERS[name]) * FACTORS[name]
    if name.startswith("finer"):
        maps = np.maximum(maps, 0)  # torchcam cuts negative values
    if name.startswith("eigen"):  # which have no sign in grad-cam
        theirs *= np.sign(np.sum(maps * theirs, axis=(2, 3), keepdims=True))
    assert theirs.any()
    np.testing.assert_allclose(maps, theirs, atol=1e-3 * np.abs(theirs).max())


def test_every_method_but_reciprocam_is_compared_with_another_package():
    assert set(MAP_METHODS) - set(FACTORS) == {"reciprocam"}


@pytest.mark.parametrize("name", ["gradcam", "hirescam", "xgradcam"])
def test_of_a_linear_head_it_is_the_class_activation_map(name, linear):
    evidence, cam = linear
    np.testing.assert_allclose(map_method(name)(evidence), cam, rtol=1e-4, atol=1e-4)


def test_hirescam_of_an_affine_head_has_the_logit_as_its_mean(evidence):
    kernel, bias = np.random.default_rng(3).normal(size=(120, 5)).astype("float32"), np.arange(5.0)

    def flatten_head(values):
        return ops.matmul(ops.reshape(values, (-1, 120)), kernel) + bias

    maps = map_method("hirescam")(evidence_of(flatten_head, features(), CLASS_IDS))
    logits = np.take_along_axis(np.asarray(flatten_head(features())), CLASS_IDS, axis=1)
    np.testing.assert_allclose(np.mean(maps, axis=(2, 3)) + bias[CLASS_IDS], logits, rtol=1e-5)


def test_reciprocam_of_a_linear_head_is_the_blurred_class_activation_map(linear):
    evidence, cam = linear
    padded = np.pad(cam, [(0, 0), (0, 0), (1, 1), (1, 1)])
    rows = padded[:, :, :-2] / 4 + padded[:, :, 1:-1] / 2 + padded[:, :, 2:] / 4
    blurred = rows[..., :-2] / 4 + rows[..., 1:-1] / 2 + rows[..., 2:] / 4
    np.testing.assert_allclose(map_method("reciprocam")(evidence), blurred / POSITIONS, atol=1e-5)


def product_head(values):
    """Of two positions with two channels: the logits (f00 + 2 f01) * f11 - f10, and f10."""
    first, second = values[:, 0, 0], values[:, 0, 1]
    return ops.stack([(first[:, 0] + 2 * first[:, 1]) * second[:, 1] - second[:, 0], second[:, 0]], axis=1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Features (1, 0) and (2, 3): the gradients are (3, 6) and (-1, 1).
        ("gradcam", [2 * 1, 2 * 2 + 7 * 3]),
        ("hirescam", [2 * 3, 2 * (-2 + 3)]),
        ("layercam", [2 * 3, 2 * 3]),
        ("elementwise", [2 * 3, 2 * 3]),
        # The channels sum to 3 and 3: weights 3 / (2 + 3 * 3), and 6 / (2 + 3 * 6) + 1 / (2 + 3 * 1).
        ("gradcam++", [3 / 11, 6 / 11 + 3 * (0.3 + 0.2)]),
        # Weights (3 * 1 - 1 * 2) / 3 and (6 * 0 + 1 * 3) / 3.
        ("xgradcam", [2 * 1 / 3, 2 * (2 / 3 + 3)]),
        # Without the first channel the logit falls from 1 to 0, without the second to -2.
        ("ablationcam", [1, 2 + 3 * 3]),
        # Both channels mask out the first position and keep the second, so both weigh 1/2.
        ("scorecam", [0.5, 2.5]),
        # Masked by 1/4 and 1/8: (1/4, 0) and (1/4, 3/8). By 1/8 and 1/4: (1/8, 0) and (1/2, 3/4).
        ("reciprocam", [3 / 32 - 1 / 4, 3 / 32 - 1 / 2]),
        # The second position less the first is (1, 3).
        ("eigencam", [-np.sqrt(10) / 2, np.sqrt(10) / 2]),
        # (3, 0) and (-2, 3): the difference is (5, -3), whose elements sum to more than zero.
        ("eigengradcam", [np.sqrt(34), -np.sqrt(34)]),
        # Less the gradient of the other class, (1, 0) at the second position: (3, 6) and (-2, 1).
        ("finer:hirescam", [2 * 3, 2 * (-4 + 3)]),
    ],
)
def test_numbers_by_hand(name, expected):
    values = np.array([[[[1.0, 0.0], [2.0, 3.0]]]], "float32")
    maps = map_method(name)(evidence_of(product_head, values, [[0]]))
    np.testing.assert_allclose(np.ravel(maps), expected, atol=1e-5)


@pytest.mark.parametrize("name", [*MAP_METHODS, "finer:gradcam"])
def test_features_that_are_zero_have_maps_that_are_finite(name):
    maps = map_method(name)(evidence_of(seeded_head, np.zeros((2, 4, 5, 6), "float32"), CLASS_IDS))
    np.testing.assert_array_equal(maps, np.zeros((2, 2, 4, 5)))


@pytest.mark.parametrize("shape", [(2, 3, 4, 40), (2, 7, 6, 5)], ids=["few positions", "few channels"])
def test_the_principal_component_is_that_of_a_singular_value_decomposition(shape):
    values = np.random.default_rng(4).random(shape).astype("float32")
    centred = values.reshape(2, -1, shape[-1]) - values.mean(axis=(1, 2))[:, None]
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    expected = left[..., 0] * singular[:, :1] * np.sign(right[:, 0].sum(axis=1, keepdims=True))
    np.testing.assert_allclose(
        principal_component(values), expected.reshape(shape[:3]), atol=1e-3 * np.abs(expected).max()
    )


def test_a_class_without_others_to_compare_with_is_compared_with_none():
    def one_class(values):
        return ops.sum(values, axis=(1, 2, 3))[:, None]

    evidence = evidence_of(one_class, features(), [[0], [0]])
    np.testing.assert_array_equal(map_method("finer:gradcam")(evidence), map_method("gradcam")(evidence))


@pytest.mark.parametrize("name", ["grad-cam", "finer:", "finer:finer:gradcam", ""])
def test_unknown_methods(name):
    with pytest.raises(ValueError, match=rf"one of \['gradcam', .* Received: method='{name}'"):
        map_method(name)


def test_reciprocam_needs_a_fixed_size():
    unknown = keras.KerasTensor((None, None, None, 3))
    with pytest.raises(ValueError, match=r"fixed height and width.*\(None, None, None, 3\)"):
        reciprocam(Evidence(unknown, None, None, None, None))
