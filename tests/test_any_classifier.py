"""Maps of classifiers with any head: exact where the head is affine, else from gradients."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_cam import build_localizer

SIZE, CLASSES = 16, 4
RNG = np.random.default_rng(0)


def backbone(channels=6, images=None):
    images = keras.Input((SIZE, SIZE, 3)) if images is None else images
    features = layers.Conv2D(channels, 3, strides=4, padding="same", activation="relu", name="features")(
        images
    )
    return images, features


def randomized(model):
    """Weights that are neither zero nor one, so that no mistake cancels."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if "float" in variable.dtype:
            variable.assign(rng.uniform(0.1, 0.9, variable.shape) * rng.choice([-1, 1], variable.shape))
        if "variance" in variable.path:
            variable.assign(np.abs(variable.numpy()))
    return model


def photos(count=2, channels=3):
    return np.random.default_rng(2).uniform(0, 1, (count, SIZE, SIZE, channels)).astype("float32")


def mlp():
    images, x = backbone()
    x = layers.MaxPooling2D()(x)
    x = layers.Dense(8, activation="relu")(layers.Flatten()(x))
    return randomized(keras.Model(images, layers.Dense(CLASSES, activation="softmax")(x)))


def vit(depth=2, width=8):
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(width, 4, strides=4, name="patches")(images)
    x = layers.Reshape((16, width))(x)
    token = ops.mean(x, axis=1, keepdims=True)
    x = ops.concatenate([token, x], axis=1)
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(2, 4)(y, y)
        y = layers.LayerNormalization()(x)
        x = x + layers.Dense(width)(layers.Dense(12, activation="gelu")(y))
    x = layers.LayerNormalization()(x)
    return randomized(keras.Model(images, layers.Dense(CLASSES)(x[:, 0])))


def layer_norm():
    images, x = backbone()
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.LayerNormalization()(x)
    return randomized(keras.Model(images, layers.Dense(CLASSES)(x)))


def flatten():
    images, x = backbone()
    return randomized(keras.Model(images, layers.Dense(CLASSES)(layers.Flatten()(x))))


@pytest.mark.parametrize("build", [layer_norm, flatten])
def test_exact(build):
    model = build()
    localizer = build_localizer(model, top_k="all")
    out = localizer(photos())
    print(localizer.get_layer("class_activation_head").map_kind, out["class_activation_maps"].shape)
    ids = np.asarray(out["detection_classes"])
    logits = np.take_along_axis(model(photos()).numpy(), ids, 1)
    print(logits - out["class_activation_maps"].numpy().mean((2, 3)))


@pytest.mark.parametrize("build", [mlp, vit])
def test_gradient(build):
    model = build()
    localizer = build_localizer(model, top_k="all")
    out = localizer(photos())
    layer = localizer.get_layer("class_activation_head")
    print(layer.map_kind, layer.head.inputs, layer.places, out["class_activation_maps"].shape, layer.taped)
