"""Layers that others wrote: what their `call` does to shapes, names and batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_cam import build_localizer
from keras_cam.graph.flat_graph import flat_graph

SIZE, WIDTH = 16, 4


class Block(layers.Layer):
    """A residual block of tokens, made of `mixer` and a layer of the same name in every block."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3 * WIDTH, name="dense")

    def call(self, x, training=None):
        return x + self.mixed(x, self.dense(x))


class AttentionOfHeads(Block):
    """The axes of heads come before that of images."""

    def mixed(self, x, y):
        batch, tokens, _ = ops.shape(x)
        y = ops.reshape(y, (batch, tokens, 3, 2, -1))
        query, key, value = ops.unstack(ops.transpose(y, (2, 0, 3, 1, 4)), axis=0)
        weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))), axis=-1)
        return ops.reshape(ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3)), (batch, tokens, WIDTH))


class Windows(Block):
    """Half of the tokens are mixed at a time: the first axis is that of images and windows."""

    def mixed(self, x, y):
        y = ops.reshape(y[..., :WIDTH], (-1, ops.shape(x)[1] // 2, WIDTH))
        y = ops.softmax(y, axis=1)
        return ops.reshape(y, (-1, ops.shape(x)[1], WIDTH))


class OfBatchSize(Block):
    """Its `call` asks for the number of images."""

    def mixed(self, x, y):
        return ops.max(ops.reshape(y, (ops.shape(x)[0], ops.shape(x)[1], 3, WIDTH)), axis=2)


class OfNumbersOnly(Block):
    """Its `call` does arithmetic with the number of images, so that it cannot be looked into."""

    def mixed(self, x, y):
        return y[: ops.shape(x)[0] // 1, :, :WIDTH] ** 2


class Misdeclared(layers.Layer):
    """Declares one token more than it returns."""

    def __init__(self, **options):
        super().__init__(**options)
        self.scale = self.add_weight(shape=(WIDTH,), initializer="ones")

    def call(self, x):
        return x * self.scale

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] + 1, shape[2])


class Rotation(layers.Layer):
    """Depends on the shape of the images alone."""

    def call(self, images):
        return ops.ones((ops.shape(images)[1], WIDTH)) / 2


def network(*blocks, head=lambda x: x[:, 0], rotated=False):
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Reshape((16, WIDTH))(layers.Conv2D(WIDTH, 4, strides=4, use_bias=False)(images))
    for block in blocks:
        x = block(x)
    if rotated:
        x = layers.Dense(WIDTH, activation="tanh")(x * Rotation()(images))
    return keras.Model(images, layers.Dense(3)(head(x)))


def photos():
    return np.random.default_rng(0).uniform(0, 1, (2, SIZE, SIZE, 3)).astype("float32")


@pytest.mark.parametrize("block", [AttentionOfHeads, Windows])
def test_gradients_of_a_token_through_layers_of_any_kind(block):
    """The features are the tokens before the last block, in which the class token sees the others."""
    keras.utils.set_random_seed(0)
    first, last = block(), block()
    model = network(first, last)
    localizer = build_localizer(model, method="hirescam", class_ids=[2, 1], refine="none")
    maps = np.asarray(localizer(photos())["class_activation_maps"])
    before = keras.Model(model.input, first.output)(photos())
    with tf.GradientTape() as tape:
        tape.watch(before)
        score = model.layers[-1](last(before)[:, 0])[:, 2]
    expected = 16 * np.sum(np.asarray(before * tape.gradient(score, before)), axis=-1).reshape(2, 4, 4)
    np.testing.assert_allclose(maps[:, 0], expected, rtol=1e-4, atol=1e-6)


def test_a_flat_graph_has_the_shapes_that_layers_compute():
    model = network(Misdeclared(), head=lambda x: ops.mean(x, axis=1))
    assert [tuple(x.output.shape) for x in model.operations if isinstance(x, Misdeclared)] == [(None, 17, 4)]
    localizer = build_localizer(model, class_ids=[0, 1, 2])
    means = np.asarray(localizer(photos())["class_activation_maps"]).mean(axis=(2, 3))
    np.testing.assert_allclose(means, model(photos()), atol=1e-5)


def test_a_flat_graph_computes_what_the_model_does_for_any_batch():
    model = network(OfBatchSize(), AttentionOfHeads(), OfNumbersOnly(), OfNumbersOnly(), Windows())
    for count in (1, 2):
        images = photos()[:count]
        np.testing.assert_allclose(flat_graph(model)([images]), model(images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["layercam", "reciprocam"])
def test_what_depends_on_the_shape_of_images_alone_is_not_of_each_image(method):
    model = network(rotated=True, head=lambda x: ops.max(x, axis=1))
    localizer = build_localizer(model, method=method)
    assert np.ptp(localizer(photos())["class_activation_maps"]) > 0


def test_a_head_that_merges_images_and_positions_is_refused_with_the_way_out():
    def head(x):
        merged = layers.Dense(WIDTH, activation="tanh")(ops.reshape(x, (-1, WIDTH)))
        return ops.reshape(merged, (-1, 16 * WIDTH))

    with pytest.raises(ValueError, match=r"into a layer of your own.*reshape"):
        build_localizer(network(head=head))
