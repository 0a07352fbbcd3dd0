"""Any classifier with a linear head over global average pooling is adopted, whatever it is built like.

One table of classifiers, and the same questions to each of them.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_cam import build_localizer, find_classification_head
from keras_cam.applications.features import backbone_of
from keras_cam.graph.head import find_head

CLASSES = 4


def backbone(images, channels=8):
    """Convolutions with a batch normalization, so that inference differs from training."""
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    return layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu", name="last_conv")(x)


def nested_backbone(**pooling):
    images = keras.Input((32, 32, 3))
    x = backbone(images)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x) if pooling else x, name="base")


def from_features(head, shape=(32, 32, 3)):
    images = keras.Input(shape)
    return keras.Model(images, head(backbone(images)))


def pooled(head):
    return from_features(lambda x: head(layers.GlobalAveragePooling2D()(x)))


def from_model(base, head, **call):
    images = keras.Input((32, 32, 3))
    return keras.Model(images, head(base(images, **call)))


def dense(x, units=CLASSES, activation=None):
    return layers.Dense(units, activation=activation)(x)


def gap_dense(x):
    return dense(layers.GlobalAveragePooling2D()(x))


def sequential():
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def sequential_over_a_model():
    return keras.Sequential([keras.Input((32, 32, 3)), nested_backbone(), *gap_dense_layers()])


def gap_dense_layers():
    return [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)]


def nested_twice():
    middle = keras.Input((32, 32, 3))
    middle = keras.Model(middle, nested_backbone()(middle), name="middle")
    return from_model(middle, gap_dense)


def augmented():
    augmentation = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.2)])
    images = keras.Input((32, 32, 3))
    return keras.Model(images, gap_dense(backbone(augmentation(images))))


def normalized_between(x):
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(6)(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.Dense(CLASSES, use_bias=False)(x)
    return layers.BatchNormalization(center=False)(x)


def convolution_behind_pooling(x):
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(0.001)(x)
    x = layers.Conv2D(CLASSES, 1)(x)
    x = layers.Reshape((CLASSES,))(x)
    return layers.Activation("softmax")(x)


def reshaped(x):
    x = layers.Reshape((1, 1, -1))(layers.GlobalAveragePooling2D()(x))
    x = layers.BatchNormalization()(x)
    return dense(layers.Flatten()(layers.SpatialDropout2D(0.5)(x)))


def squeezenet_head(x):
    x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(CLASSES, 1)(x)
    x = layers.Activation("relu")(x)
    return layers.Activation("softmax")(layers.GlobalAveragePooling2D()(x))


def nin_head(x):
    x = layers.Conv2D(CLASSES, 1, activation="relu")(x)
    return layers.Softmax()(layers.GlobalAveragePooling2D()(x))


def whole_map_pooling(x):
    return dense(layers.Flatten()(layers.AveragePooling2D(x.shape[1:3])(x)))


def uint8_images():
    images = keras.Input((32, 32, 3), dtype="uint8")
    return keras.Model(images, gap_dense(backbone(images)))


def named_images():
    images = keras.Input((32, 32, 3), name="photo")
    return keras.Model({"photo": images}, {"logits": gap_dense(backbone(images))})


# Every kind of classifier that is adopted: how it is built, and what its logits go through at the end.
ADOPTED = {
    "functional": (lambda: from_features(gap_dense), "linear"),
    "sequential": (sequential, "softmax"),
    "sequential over a model": (sequential_over_a_model, "linear"),
    "nested backbone": (lambda: from_model(nested_backbone(), gap_dense), "linear"),
    "frozen nested backbone": (lambda: from_model(nested_backbone(), gap_dense, training=False), "linear"),
    "backbone nested twice": (nested_twice, "linear"),
    "pooling inside the nested backbone": (
        lambda: from_model(nested_backbone(pooling="avg"), dense),
        "linear",
    ),
    "nested head": (lambda: from_features(keras.Sequential(gap_dense_layers())), "linear"),
    "nested backbone and head": (
        lambda: from_model(nested_backbone(), keras.Sequential(gap_dense_layers())),
        "linear",
    ),
    "augmentation in front": (augmented, "linear"),
    "batch normalization around two dense layers": (lambda: pooled(normalized_between), "linear"),
    "reshape and flatten between": (lambda: from_features(reshaped), "linear"),
    "ops.mean": (lambda: from_features(lambda x: dense(ops.mean(x, axis=(1, 2)))), "linear"),
    "ops.mean that keeps its axes": (
        lambda: from_features(lambda x: dense(ops.squeeze(ops.mean(x, (-3, -2), keepdims=True), (1, 2)))),
        "linear",
    ),
    "average pooling of the whole map": (lambda: from_features(whole_map_pooling), "linear"),
    "convolution behind the pooling": (lambda: from_features(convolution_behind_pooling), "softmax"),
    "convolution before the pooling": (
        lambda: from_features(lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(CLASSES, 1)(x))),
        "linear",
    ),
    "network in network": (lambda: from_features(nin_head), "softmax"),
    "squeezenet": (lambda: from_features(squeezenet_head), "softmax"),
    "one sigmoid": (lambda: pooled(lambda x: dense(x, 1, "sigmoid")), "sigmoid"),
    "one logit": (lambda: pooled(lambda x: dense(x, 1)), "linear"),
    "many labels": (lambda: pooled(lambda x: dense(x, activation="sigmoid")), "sigmoid"),
    "ops.softmax": (lambda: pooled(lambda x: ops.softmax(dense(x))), "softmax"),
    "ops.cast at the end": (lambda: pooled(lambda x: ops.cast(dense(x), "float32")), "linear"),
    "not square": (lambda: from_features(gap_dense, (24, 48, 3)), "linear"),
    "any size": (lambda: from_features(gap_dense, (None, None, 3)), "linear"),
    "gray": (lambda: from_features(gap_dense, (32, 32, 1)), "linear"),
    "uint8 images": (uint8_images, "linear"),
    "named input and output": (named_images, "linear"),
}
MOST_DIFFERENT = {
    "sequential",
    "backbone nested twice",
    "batch normalization around two dense layers",
    "convolution behind the pooling",
    "one sigmoid",
    "any size",
    "uint8 images",
    "named input and output",
}
every_adopted = pytest.mark.parametrize("kind", ADOPTED)
some_adopted = pytest.mark.parametrize(
    "kind", ["sequential", "nested backbone and head", "batch normalization around two dense layers"]
)


@pytest.fixture
def adopt(randomize, photos):
    """A classifier of the table, its localizer and images for both."""

    def adopt(kind):
        model = randomize(ADOPTED[kind][0]())
        _, height, width, channels = model.inputs[0].shape
        images = photos(3, height or 40, width or 24)[..., :channels]
        return model, build_localizer(model, "all"), images

    return adopt


def output_of(model, images):
    if model.inputs[0].name == "photo":
        return model({"photo": images}, training=False)["logits"]
    return model(images, training=False)


# The identity.


@every_adopted
def test_the_mean_of_a_map_and_the_bias_are_the_logit(kind, adopt, assert_maps_explain):
    model, localizer, images = adopt(kind)
    assert_maps_explain(localizer, output_of(model, images), images, ADOPTED[kind][1])


@pytest.mark.parametrize(
    "kind",
    [kind if kind in MOST_DIFFERENT else pytest.param(kind, marks=pytest.mark.slow) for kind in ADOPTED],
)
def test_a_saved_or_cloned_localizer_keeps_its_maps_and_follows_new_weights(
    kind, adopt, assert_maps_explain, randomize, tmp_path
):
    model, localizer, images = adopt(kind)
    localizer.save(tmp_path / "localizer.keras")
    loaded = keras.models.load_model(tmp_path / "localizer.keras")
    cloned = keras.models.clone_model(localizer)
    assert_maps_explain(loaded, output_of(model, images), images, ADOPTED[kind][1])

    randomize(localizer, seed=1)  # the classifier shares these weights
    after = output_of(model, images)
    assert_maps_explain(localizer, after, images, ADOPTED[kind][1])
    for copy in (loaded, cloned):
        copy.set_weights(localizer.get_weights())
        assert_maps_explain(copy, after, images, ADOPTED[kind][1])


@some_adopted
def test_training_the_classifier_moves_the_maps(kind, adopt, assert_maps_explain, logits_of_maps):
    model, localizer, images = adopt(kind)
    before = logits_of_maps(localizer, images)
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.train_on_batch(images, np.eye(CLASSES, dtype="float32")[: len(images)])
    assert np.max(np.abs(logits_of_maps(localizer, images) - before)) > 1e-3
    assert_maps_explain(localizer, model(images), images, ADOPTED[kind][1])


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "kind", ["functional", "nested backbone and head", "network in network", "not square"]
)
def test_maps_and_logits_are_float32_and_agree_in_mixed_precision(
    kind, policy, adopt, logits_of_maps, tmp_path
):
    keras.config.set_dtype_policy(policy)
    _, localizer, images = adopt(kind)
    features = backbone_of(localizer)(images)
    assert keras.backend.standardize_dtype(features.dtype) == policy.removeprefix("mixed_")
    rows = localizer(images)
    for key in ("class_activation_maps", "detection_scores", "detection_boxes"):
        assert rows[key].dtype == "float32", key
    logits = localizer.get_layer("class_activation_head")(features)
    np.testing.assert_allclose(logits_of_maps(localizer, images), logits, rtol=1e-4, atol=1e-4)
    localizer.save(tmp_path / "localizer.keras")
    loaded = keras.models.load_model(tmp_path / "localizer.keras")
    np.testing.assert_allclose(logits_of_maps(loaded, images), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_an_int8_classifier_keeps_the_identity(randomize, photos, logits_of_maps, tmp_path):
    model = randomize(from_features(gap_dense))
    images = photos(3, 32, 32)
    localizer = build_localizer(model, "all")
    before = logits_of_maps(localizer, images)
    localizer.quantize("int8")
    localizer.save(tmp_path / "localizer.keras")
    features = backbone_of(localizer)(images)
    # The classifier quantizes its input as well, to 127 steps.
    for quantized in (
        localizer,
        build_localizer(model, "all"),
        keras.models.load_model(tmp_path / "localizer.keras"),
    ):
        logits = quantized.get_layer("class_activation_head")(features)
        np.testing.assert_allclose(logits_of_maps(quantized, images), logits, atol=1e-4)
        np.testing.assert_allclose(logits, model(images), atol=0.02 * np.ptp(before))


# What was found.


def test_layers_are_shared_with_the_classifier():
    model = from_features(gap_dense)
    head = find_classification_head(model)
    assert head.classifier == (model.layers[-1],)
    assert head.features is model.get_layer("last_conv").output
    assert head.inputs is model.inputs[0]


@every_adopted
def test_the_activation_is_what_follows_the_logits(kind):
    build, activation = ADOPTED[kind]
    assert find_classification_head(build()).activation == activation


def test_maps_of_a_convolutional_classifier_with_relu_are_its_own(randomize, photos):
    model = randomize(from_features(nin_head))
    images = photos(2, 32, 32)
    maps = build_localizer(model, class_ids=range(CLASSES))(images)["class_activation_maps"]
    relu = keras.Model(model.input, model.layers[-3].output)(images)
    np.testing.assert_allclose(np.moveaxis(maps, 1, -1), relu, atol=1e-6)


# Several inputs and outputs.


def two_outputs(as_dict=False):
    images = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(backbone(images))
    colour, shape = layers.Dense(2, name="colour")(x), layers.Dense(3, activation="sigmoid", name="shape")(x)
    return keras.Model(images, {"a": colour, "b": shape} if as_dict else [colour, shape])


@pytest.mark.parametrize(("as_dict", "output"), [(False, "shape"), (False, 1), (True, "b"), (True, 1)])
def test_an_output_is_chosen_by_name_or_index(as_dict, output, randomize, photos, assert_maps_explain):
    model, images = randomize(two_outputs(as_dict)), photos(2, 32, 32)
    chosen = model(images)["b" if as_dict else 1]
    assert_maps_explain(build_localizer(model, "all", output=output), chosen, images, "sigmoid")


@pytest.mark.parametrize("output", [None, "size", 2, -1])
def test_an_output_must_be_chosen_if_there_are_several(output):
    with pytest.raises(ValueError, match=r"`output` must name one .*\['colour', 'shape'\] or be its index"):
        build_localizer(two_outputs(), output=output)


@pytest.mark.parametrize("shared", ["flat", "nested"])
def test_each_side_of_a_siamese_network_has_its_own_maps(shared, randomize, photos, assert_maps_explain):
    left, right = keras.Input((32, 32, 3), name="left"), keras.Input((32, 32, 3), name="right")
    base = nested_backbone() if shared == "nested" else layers.Conv2D(8, 3, strides=4, activation="relu")
    head = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)])
    model = randomize(keras.Model([left, right], [head(base(left)), head(base(right))]))
    images, others = photos(2, 32, 32), photos(2, 32, 32, seed=1)
    for output in (0, 1):
        localizer = build_localizer(model, "all", output=output)
        inputs = [images, others] if output == 0 else [others, images]
        assert_maps_explain(localizer, model(inputs)[output], images)


def test_a_second_input_that_the_output_ignores_is_left_out(randomize, photos, assert_maps_explain):
    images, numbers = keras.Input((32, 32, 3)), keras.Input((5,))
    model = randomize(keras.Model([images, numbers], [gap_dense(backbone(images)), dense(numbers)]))
    localizer = build_localizer(model, "all", output=0)
    pixels = photos(2, 32, 32)
    assert_maps_explain(localizer, model([pixels, np.ones((2, 5))])[0], pixels)


# Refused, because there is no exact map.


class SquaredDense(layers.Dense):
    def call(self, inputs):
        return ops.square(super().call(inputs))


def blocker(layer):
    """A classifier with a layer called "blocker" between pooling and classifier."""
    return lambda: pooled(lambda x: dense(layer(x)))


def keeping_axes(layer):
    return lambda: from_features(
        lambda x: layers.Flatten()(layer(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    )


NONLINEAR = "This layer is not one of them: train a single `Dense`"
REFUSED = {
    "layer normalization": (blocker(layers.LayerNormalization(name="blocker")), "its own statistics: train"),
    "hidden layer": (blocker(layers.Dense(5, activation="relu", name="blocker")), NONLINEAR),
    "activation": (blocker(layers.Activation("tanh", name="blocker")), NONLINEAR),
    "relu": (blocker(layers.ReLU(name="blocker")), NONLINEAR),
    "softmax twice": (
        lambda: pooled(lambda x: layers.Softmax()(layers.Softmax(name="blocker")(dense(x)))),
        NONLINEAR,
    ),
    "sigmoid in between": (blocker(layers.Activation("sigmoid", name="blocker")), NONLINEAR),
    "a layer of its own": (blocker(layers.Lambda(lambda x: x * 2, name="blocker")), NONLINEAR),
    "a dense layer that computes more": (lambda: pooled(SquaredDense(CLASSES, name="blocker")), NONLINEAR),
    "einsum": (lambda: pooled(layers.EinsumDense("bc,cn->bn", CLASSES, name="blocker")), NONLINEAR),
    "3x3 convolution": (keeping_axes(layers.Conv2D(CLASSES, 3, padding="same", name="blocker")), NONLINEAR),
    "grouped convolution": (keeping_axes(layers.Conv2D(CLASSES, 1, groups=2, name="blocker")), NONLINEAR),
    "normalized over another axis": (
        keeping_axes(layers.BatchNormalization(axis=1, name="blocker")),
        "its own statistics",
    ),
    "maximum": (
        lambda: from_features(lambda x: dense(layers.GlobalMaxPooling2D(name="blocker")(x))),
        "use `GlobalAveragePooling2D` and retrain",
    ),
    "flatten": (
        lambda: from_features(lambda x: dense(layers.Flatten(name="blocker")(x))),
        r"\(8, 8, 8\) into \(512,\), which mixes positions",
    ),
    "pooling of a part": (
        lambda: from_features(
            lambda x: dense(layers.Flatten()(layers.AveragePooling2D(4, name="blocker")(x)))
        ),
        r"\(2, 2, 8\) into \(32,\)",
    ),
    "average over a neighbourhood": (
        lambda: from_features(
            lambda x: dense(layers.AveragePooling2D(8, strides=1, padding="same", name="blocker")(x))
        ),
        NONLINEAR,
    ),
    "several softmaxes in one layer": (
        lambda: pooled(lambda x: layers.Softmax()(layers.Reshape((2, 2), name="blocker")(dense(x)))),
        r"\(4,\) into \(2, 2\), which mixes positions or channels",
    ),
    "channels as positions": (blocker(layers.Reshape((8, 1), name="blocker")), r"\(8,\) into \(8, 1\)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_layer_in_the_way_is_named_with_what_to_do(kind):
    build, advice = REFUSED[kind]
    name = "flatten" if kind == "pooling of a part" else "blocker"
    with pytest.raises(ValueError, match=rf"exact only if .* Received: layer '{name}\w*' \(\w+\).*{advice}"):
        find_classification_head(build())


NO_VECTOR = {"average over a neighbourhood", "several softmaxes in one layer", "channels as positions"}


@pytest.mark.parametrize("kind", sorted(NO_VECTOR))
def test_an_output_that_is_no_vector_has_no_maps(kind):
    with pytest.raises(ValueError, match=r"one vector of logits or scores per image, \(B, N\)"):
        find_head(REFUSED[kind][0]())


@pytest.mark.parametrize("kind", sorted(REFUSED.keys() - NO_VECTOR))
def test_other_heads_have_maps_as_well(kind, photos):
    """Exact ones, if the layer is affine in spite of all, else from gradients."""
    model = REFUSED[kind][0]()
    head = find_head(model)
    features = keras.Model(head.inputs, head.features)([photos(1, 32, 32)])
    maps = np.asarray(head.layer(features, np.array([[0, 1]])))
    assert maps.shape[:2] == (1, 2)
    assert np.isfinite(maps).all()


def test_pooled_features_need_a_classifier():
    with pytest.raises(ValueError, match=r"the pooled features, without a classifier\. Add a `Dense`"):
        build_localizer(from_features(layers.GlobalAveragePooling2D()))


def test_a_model_without_images_has_no_maps():
    vector = keras.Input((8,))
    with pytest.raises(ValueError, match="a layer whose output has several positions"):
        build_localizer(keras.Model(vector, dense(vector)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.layers_in_order = [layers.Conv2D(8, 3), *gap_dense_layers()]

    def call(self, x):
        for layer in self.layers_in_order:
            x = layer(x)
        return x


@pytest.mark.parametrize("build", [Subclassed, lambda: keras.Sequential(gap_dense_layers())])
def test_a_model_without_a_graph_is_refused(build):
    with pytest.raises(
        ValueError, match=r"start a `Sequential` model with an `Input`|must have been called on images"
    ):
        build_localizer(build())


def test_a_subclassed_backbone_inside_a_functional_classifier_is_fine(photos, assert_maps_explain):
    class Backbone(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(8, 3, strides=4, activation="relu")

        def call(self, x):
            return self.conv(x)

    model = from_model(Backbone(), gap_dense)
    images = photos(2, 32, 32) / 255
    assert_maps_explain(build_localizer(model, "all"), model(images), images)
