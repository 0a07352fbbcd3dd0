"""Maps of classifiers with any head: exact where the head is affine, else from gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_cam import build_localizer, load_localizer
from keras_cam.layers import MapDetections
from keras_cam.recipes import DEFAULT_GRADIENT_METHOD

SIZE, CLASSES = 16, 4
RNG = np.random.default_rng(0)


def backbone(channels=6, images=None):
    images = keras.Input((SIZE, SIZE, 3)) if images is None else images
    features = layers.Conv2D(channels, 3, strides=4, padding="same", activation="relu", name="features")(
        images
    )
    return images, features


def randomized(model, size=1.0):
    """Weights that are neither zero nor one, so that no mistake cancels."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if "float" in variable.dtype:
            variable.assign(
                size * rng.uniform(0.1, 0.9, variable.shape) * rng.choice([-1, 1], variable.shape)
            )
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
    return randomized(keras.Model(images, layers.Dense(CLASSES)(x[:, 0])), 0.5)


def dense(x, units=CLASSES, **options):
    return layers.Dense(units, **options)(x)


def pooled(x, **options):
    return layers.GlobalAveragePooling2D(**options)(x)


def tokens(x):
    return layers.Reshape((16, 6))(x)


def attention_pooling(x):
    x = tokens(x)
    weights = ops.softmax(layers.Dense(1)(x), axis=1)
    return dense(ops.sum(weights * x, axis=1))


def attention_product(x):
    x = tokens(x)
    weights = ops.transpose(ops.softmax(layers.Dense(1)(x), axis=1), (0, 2, 1))
    return dense(layers.Flatten()(ops.matmul(weights, x)))


def length_normalized(x):
    x = pooled(x)
    return dense(x / (ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True)) + 1e-6))


def linear_residual(x):
    x = pooled(x)
    return dense(layers.Add()([x, dense(x, 6)]))


def multi_sample_dropout(x):
    x, last = pooled(x), layers.Dense(CLASSES)
    return layers.Average()([last(layers.Dropout(rate)(x)) for rate in (0.1, 0.2, 0.3)])


def swin(x):
    x = layers.LayerNormalization()(tokens(x))
    logits = dense(layers.GlobalAveragePooling1D()(x))
    return x, logits, logits


def registers(x):
    """Means over the tokens of patches; the first ones are no patches."""
    x = tokens(x)
    x = ops.concatenate([ops.mean(x, axis=1, keepdims=True), x[:, :2], x], axis=1)
    x = layers.LayerNormalization()(x)
    logits = dense(ops.mean(x[:, 3:], axis=1))
    return x, logits, logits


def log_softmax(x):
    logits = dense(layers.Flatten()(x))
    return x, logits, ops.log_softmax(logits)


def two_classifiers(x):
    logits = layers.Average()([dense(pooled(x)), dense(layers.Flatten()(x))])
    return x, logits, layers.Softmax()(logits)


EXACT = {
    "layer normalization": lambda x: dense(layers.LayerNormalization()(pooled(x))),
    "layer normalization of a 1x1 map": lambda x: dense(
        layers.Flatten()(layers.LayerNormalization()(pooled(x, keepdims=True)))
    ),
    "RMS normalization": lambda x: dense(layers.RMSNormalization()(pooled(x))),
    "unit normalization": lambda x: dense(layers.UnitNormalization()(pooled(x))),
    "ops.normalize": lambda x: dense(ops.normalize(pooled(x), axis=-1)),
    "divided by its length": length_normalized,
    "flatten": lambda x: dense(layers.Flatten()(x)),
    "average pooling, flatten": lambda x: dense(layers.Flatten()(layers.AveragePooling2D(2)(x))),
    "two means": lambda x: dense(ops.mean(ops.mean(x, axis=1), axis=1)),
    "one pool over both axes and a spare one": lambda x: dense(ops.mean(x, axis=[1, 2])[:, :4]),
    "sums": lambda x: dense(ops.sum(x, axis=(1, 2))),
    "tokens": lambda x: dense(layers.GlobalAveragePooling1D()(tokens(x))),
    "Swin": swin,
    "register tokens": registers,
    "EinsumDense": lambda x: layers.EinsumDense("bc,cn->bn", CLASSES, bias_axes="n")(pooled(x)),
    "SpectralNormalization": lambda x: layers.SpectralNormalization(layers.Dense(CLASSES))(pooled(x)),
    "temperature": lambda x: layers.Rescaling(1 / 3)(dense(pooled(x))),
    "temperature as an operation": lambda x: dense(pooled(x)) / 3.0 - 0.5,
    "log_softmax": lambda x: dense(pooled(x), activation="log_softmax"),
    "log_softmax as an operation": log_softmax,
    "tf.nn.softmax": lambda x: dense(pooled(x), activation=tf.nn.softmax),
    "softmax of two classifiers' mean": two_classifiers,
    "multi-sample dropout": multi_sample_dropout,
    "linear residual": linear_residual,
    "attention pooling": attention_pooling,
    "attention pooling as a product": attention_product,
    "depthwise convolution over everything": lambda x: dense(
        layers.Flatten()(layers.DepthwiseConv2D(4, depth_multiplier=2)(x))
    ),
    "convolution over everything": lambda x: layers.Flatten()(layers.Conv2D(CLASSES, 4)(x)),
}


def check_identity(localizer, tail, images, features, context=(), atol=2e-5):
    """`mean(map) + bias == logit`, with the bias that the user's own layers give for features of zero."""
    head = localizer.get_layer("class_activation_head")
    out = localizer(images)
    ids, maps = np.asarray(out["detection_classes"]), np.asarray(out["class_activation_maps"])
    logits = np.asarray(head(localizer.get_layer("backbone")(images)))
    zeros = [np.zeros_like(one) for one in features]
    bias = logits_of(tail, [*zeros, *context])
    axes = tuple(range(2, maps.ndim))
    expected = np.take_along_axis(logits, ids, axis=1) - np.take_along_axis(bias, ids, axis=1)
    assert localizer.map_kind == "exact"
    assert np.ptp(maps, axis=axes).min() > 0
    np.testing.assert_allclose(maps.mean(axis=axes), expected, rtol=1e-4, atol=atol)
    return logits


def logits_of(model, inputs):
    """What a model of Keras gives before the activation of its last layer, by its own forward pass."""
    last = model.operations[-1]
    activation = getattr(last, "activation", None)
    last.activation = keras.activations.linear
    try:
        return np.asarray(model(inputs if len(inputs) > 1 else inputs[0]))
    finally:
        last.activation = activation


@pytest.mark.parametrize("name", EXACT)
def test_the_mean_of_an_exact_map_and_the_bias_are_the_logit(name):
    images, x = backbone()
    parts = EXACT[name](x)
    features, logits, output = parts if isinstance(parts, tuple) else (x, parts, parts)
    model = randomized(keras.Model(images, output))
    localizer = build_localizer(model, top_k="all", refine="none")
    tail = keras.Model(features, logits)
    found = check_identity(localizer, tail, photos(), [keras.Model(images, features)(photos())])
    expected = logits_of(keras.Model(images, logits), [photos()])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def two_stages():
    """Two pooled stages of one network, on grids of 8x8 and 4x4."""
    images = keras.Input((SIZE, SIZE, 3))
    fine = layers.Conv2D(5, 3, strides=2, padding="same", activation="relu")(images)
    coarse = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(fine)
    logits = dense(layers.Concatenate()([pooled(fine), pooled(coarse)]))
    return randomized(keras.Model(images, logits)), [fine, coarse]


def test_two_pooled_stages_have_one_map_on_the_finer_grid():
    model, features = two_stages()
    localizer = build_localizer(model, top_k="all", refine="none")
    values = keras.Model(model.input, features)(photos())
    check_identity(localizer, keras.Model(features, model.output), photos(), values)
    assert localizer.output["class_activation_maps"].shape == (None, CLASSES, 8, 8)


def test_metadata_beside_the_image_is_a_bias_of_each_image():
    images, x = backbone()
    age = keras.Input((2,), name="age")
    known = dense(age, 5, activation="relu")
    logits = dense(layers.Concatenate()([pooled(x), known]))
    model = randomized(keras.Model([age, images], logits))
    localizer = build_localizer(model, top_k="all", refine="none")
    ages = np.array([[1, 2], [-3, 0.5]], "float32")
    head = localizer.get_layer("class_activation_head")
    found = localizer({"images": photos(), "age": ages})
    ids, maps = np.asarray(found["detection_classes"]), np.asarray(found["class_activation_maps"])
    tail = keras.Model([x, known], logits)
    bias = np.asarray(tail([ops.zeros((2, 4, 4, 6)), keras.Model(age, known)(ages)]))
    expected = np.take_along_axis(np.asarray(model([ages, photos()])) - bias, ids, axis=1)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), expected, rtol=1e-4, atol=1e-5)
    assert head.map_kind == "exact"
    assert np.abs(bias[0] - bias[1]).max() > 0.1


def of_rank(rank):
    """A classifier of signals or volumes, whose features are their means over 4 samples along each axis."""
    source = keras.Input((*[16] * rank, 2))
    x = getattr(layers, f"AveragePooling{rank}D")(4)(source)
    x = getattr(layers, f"Conv{rank}D")(6, 1, activation="relu")(x)
    logits = dense(layers.LayerNormalization()(getattr(layers, f"GlobalAveragePooling{rank}D")()(x)))
    return randomized(keras.Model(source, logits)), x


@pytest.mark.parametrize("rank", [1, 3])
def test_signals_and_volumes_have_maps_and_boxes_of_their_rank(rank, tmp_path):
    model, x = of_rank(rank)
    values = np.random.default_rng(3).uniform(0, 1, (2, *[16] * rank, 2)).astype("float32")
    localizer = build_localizer(model, class_ids=range(CLASSES))
    out = localizer(values)
    maps = np.asarray(out["class_activation_maps"])
    assert maps.shape == (2, CLASSES, *[4] * rank)
    assert out["detection_boxes"].shape == (2, CLASSES, 2 * rank)
    bias = np.asarray(keras.Model(x, model.output)(np.zeros((2, *[4] * rank, 6))))
    means = maps.mean(axis=tuple(range(2, 2 + rank)))
    np.testing.assert_allclose(means + bias, np.asarray(model(values)), rtol=1e-4, atol=1e-5)
    localizer.save(tmp_path / "localizer.keras")
    again = keras.models.load_model(tmp_path / "localizer.keras")(values)
    np.testing.assert_allclose(again["detection_boxes"], out["detection_boxes"], atol=1e-6)
    with pytest.raises(ValueError, match=r"Call one of signals, volumes or several inputs itself"):
        load_localizer(localizer)


def test_the_interval_of_a_signal_is_where_its_map_is_high():
    maps = np.array([[[0, 0, 1, 1, 0, 0, 0, 0]]], "float32")  # falls to half between two samples
    out = MapDetections(0.5)(maps, np.array([[1]]), np.full((1, 3), 0.5), np.zeros((1, 800, 2)))
    np.testing.assert_allclose(out["detection_boxes"][0], [[0.25, 0.5]], atol=0.01)


def test_the_cuboids_of_a_volume_enclose_the_largest_components():
    maps = np.zeros((1, 1, 4, 5, 8), "float32")
    maps[0, 0, 0, 0, 0] = 1  # touches the next only at an edge
    maps[0, 0, 1, 1:4, 1] = maps[0, 0, 1, 3, 1:3] = 0.9
    layer = MapDetections(0.5, max_boxes=3)
    out = layer(maps, np.array([[1]]), np.full((1, 3), 0.5), np.zeros((1, 8, 8, 8, 1)))
    expected = [[1 / 4, 1 / 5, 1 / 8, 2 / 4, 4 / 5, 3 / 8], [0, 0, 0, 1 / 4, 1 / 5, 1 / 8], [0] * 6]
    np.testing.assert_allclose(out["detection_boxes"][0], expected, atol=1e-6)
    assert int(out["num_detections"][0]) == 2


def test_channels_first():
    images, x = backbone()
    x = layers.Permute((3, 1, 2))(x)
    logits = dense(layers.LayerNormalization()(pooled(x, data_format="channels_first")))
    model = randomized(keras.Model(images, logits))
    localizer = build_localizer(model, top_k="all", refine="none")
    assert localizer.get_layer("class_activation_head").places[0].channels_first
    values = keras.Model(images, x)(photos())
    check_identity(localizer, keras.Model(x, logits), photos(), [values])


def gradients_by_tape(model, feature, images, class_id):
    """d logit / d features, by TensorFlow's own gradients."""
    values = keras.Model(model.input, feature)(images)
    tail = keras.Model(feature, model.output)
    with tf.GradientTape() as tape:
        tape.watch(values)
        score = tail(values)[:, class_id]
    return np.asarray(values), np.asarray(tape.gradient(score, values))


def squeeze_excitation(x):
    gate = dense(dense(pooled(x, keepdims=True), 3, activation="silu"), 6, activation="hard_sigmoid")
    return dense(dense(pooled(layers.Multiply()([x, gate])), 5, activation="hard_silu"))


def mobile_net_v3(x):
    x = layers.Conv2D(7, 1, activation="hard_silu")(pooled(x, keepdims=True))
    return layers.Flatten()(layers.Conv2D(CLASSES, 1)(layers.Dropout(0.2)(x)))


def maxima(x):
    return dense(layers.Concatenate()([pooled(x), layers.GlobalMaxPooling2D()(x)]))


def gem(x):
    """Generalized mean pooling, which has no rule for its power."""
    return dense(ops.mean(ops.power(x + 1.0, 3.0), axis=(1, 2)) ** (1 / 3))


ACTIVATIONS = [
    "relu",
    "relu6",
    "gelu",
    "silu",
    "elu",
    "tanh",
    "sigmoid",
    "softplus",
    "hard_sigmoid",
    "softmax",
]
NONLINEAR = {
    **{
        name: lambda x, name=name: dense(dense(layers.Flatten()(x), 8, activation=name))
        for name in ACTIVATIONS
    },
    "activation of one's own": lambda x: dense(dense(pooled(x), 8, activation=lambda x: x * x)),
    "squeeze and excitation": squeeze_excitation,
    "MobileNetV3": mobile_net_v3,
    "mean and maximum": maxima,
    "generalized mean": gem,
}


@pytest.mark.parametrize("name", NONLINEAR)
def test_gradient_maps_agree_with_tensorflows_gradients(name):
    images, x = backbone()
    model = randomized(keras.Model(images, NONLINEAR[name](x)))
    localizer = build_localizer(model, method="hirescam", refine="none", class_ids=[2, 0])
    assert (localizer.map_kind, localizer.map_method) == ("gradient", "hirescam")
    maps = np.asarray(localizer(photos())["class_activation_maps"])
    outputs = [operation.output for operation in model.operations[::-1]]
    feature = next(output for output in outputs if tuple(output.shape[1:3]) == (4, 4))
    for row, class_id in enumerate([2, 0]):
        values, gradients = gradients_by_tape(model, feature, photos(), class_id)
        expected = 16 * (values * gradients).sum(axis=-1)
        np.testing.assert_allclose(maps[:, row], expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


ANY_SIZE = {
    "rows beside columns": lambda x: dense(
        ops.mean(ops.concatenate([ops.max(x, axis=1), ops.max(x, axis=2)], axis=1), axis=1)
    ),
    "the first column": lambda x: dense(ops.take(ops.max(x, axis=1), 0, axis=1)),
}


@pytest.mark.parametrize("name", ANY_SIZE)
def test_gradients_do_not_need_to_know_the_size_of_images_when_they_are_traced(name):
    images, x = backbone(images=keras.Input((None, None, 3)))
    model = randomized(keras.Model(images, ANY_SIZE[name](x)))
    localizer = build_localizer(model, method="hirescam", refine="none", class_ids=[1])
    traced = tf.function(localizer, input_signature=[tf.TensorSpec((None, None, None, 3))])
    maps, expected = (function(photos())["class_activation_maps"] for function in (traced, localizer))
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(maps, expected, rtol=1e-5)


ENSEMBLES = {
    "Average": lambda x, y: layers.Average()([x, y]),
    "a sum, halved": lambda x, y: (x + y) / 2,
    "a mean of a stack": lambda x, y: ops.mean(ops.stack([x, y], axis=1), axis=1),
}


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", ENSEMBLES)
def test_an_ensemble_that_averages_scores_keeps_them(name, activation):
    """The logit is that of the averaged score: its gradient makes the maps."""
    images, x = backbone()
    members = [dense(layers.Flatten()(x), activation=activation) for _ in range(2)]
    model = randomized(keras.Model(images, ENSEMBLES[name](*members)), 0.3)
    localizer = build_localizer(model, method="hirescam", refine="none", class_ids=[2, 0])
    out = localizer(photos())
    scores = np.asarray(model(photos()))
    np.testing.assert_allclose(out["detection_scores"], scores[:, [2, 0]], rtol=1e-4)
    logits = ops.log(model.output) - (ops.log(1 - model.output) if activation == "sigmoid" else 0)
    values, gradients = gradients_by_tape(keras.Model(images, logits), x, photos(), 2)
    expected = 16 * (values * gradients).sum(axis=-1)
    np.testing.assert_allclose(out["class_activation_maps"][:, 0], expected, rtol=1e-3, atol=1e-4)
    assert localizer.map_kind == "gradient"
    assert not localizer.get_layer("class_activation_head").taped


def test_a_vision_transformer_is_cut_before_its_last_attention():
    model = vit()
    localizer = build_localizer(model, class_ids=[1], method="gradcam")
    head = localizer.get_layer("class_activation_head")
    assert (head.places[0].grid, head.places[0].prefix, len(head.taped)) == ((4, 4), 1, 0)
    attention = [layer for layer in model.layers if isinstance(layer, layers.MultiHeadAttention)][-1]
    feature = attention._inbound_nodes[0].input_tensors[0]
    feature = feature._keras_history.operation._inbound_nodes[0].input_tensors[0]  # before its LayerNorm
    values, gradients = gradients_by_tape(model, feature, photos(), 1)
    values, gradients = values[:, 1:], gradients[:, 1:]  # without the class token
    expected = 16 * np.einsum("bc,bpc->bp", gradients.mean(axis=1), values).reshape(2, 4, 4)
    maps = np.asarray(localizer(photos())["class_activation_maps"])[:, 0]
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


class Block(layers.Layer):
    """A layer made of layers, with the stride inside."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.convolution = layers.Conv2D(filters, 3, strides=2, padding="same", name="convolution")
        self.norm = layers.BatchNormalization(name="norm")

    def call(self, x, training=None):
        return ops.relu(self.norm(self.convolution(x), training=training))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [Block(filters) for filters in (4, 5, 6, 7)]
        self.pool, self.head = layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(self.pool(x))


class WithTensorFlow(Subclassed):
    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x)
        return self.head(tf.reduce_mean(x, axis=(1, 2)))


def test_a_subclassed_model_is_looked_into(tmp_path):
    model = Subclassed()
    model(np.zeros((1, 64, 64, 3)))
    randomized(model)
    images = np.random.default_rng(0).uniform(0, 1, (2, 64, 64, 3)).astype("float32")
    localizer = build_localizer(model, class_ids=[0, 1, 2, 3], refine="affinity")
    out = localizer(images)
    means = np.asarray(out["class_activation_maps"]).mean(axis=(2, 3))
    np.testing.assert_allclose(means + model.head.bias.numpy(), np.asarray(model(images)), rtol=1e-4)
    assert out["localization_maps"].shape == (2, 4, 4, 4)  # strides inside of blocks are seen
    localizer.save(tmp_path / "localizer.keras")
    again = keras.models.load_model(tmp_path / "localizer.keras")(images)
    np.testing.assert_allclose(again["localization_maps"], out["localization_maps"], atol=1e-6)


def test_a_subclassed_model_that_cannot_be_traced_is_refused_with_the_way_out():
    model = WithTensorFlow()
    model(np.zeros((1, SIZE, SIZE, 3)))
    with pytest.raises(ValueError, match=r"`keras\.ops` instead of `tf`"):
        build_localizer(model)


def test_nested_models_may_share_the_names_of_layers():
    """One of these is an `Add`, which takes a list."""

    def part():
        x = keras.Input((SIZE, SIZE, 4))
        y = layers.Conv2D(4, 3, padding="same", name="convolution")(x)
        return keras.Model(x, layers.Add(name="sum")([x, y]))

    images, x = backbone(4)
    x = layers.Conv2D(4, 3, strides=1, padding="same")(images)
    x = layers.MaxPooling2D()(part()(part()(x)))
    model = keras.Model(images, dense(pooled(layers.Conv2D(4, 3, strides=2, padding="same")(x))))
    assert "localization_maps" in build_localizer(model, refine="affinity")(photos())


@pytest.mark.parametrize("build", [mlp, vit, lambda: two_stages()[0]])
def test_a_localizer_is_saved_with_its_head(build, tmp_path):
    model = build()
    localizer = build_localizer(model, top_k=2)
    localizer.save(tmp_path / "localizer.keras")
    again = keras.models.load_model(tmp_path / "localizer.keras")
    assert (again.map_kind, again.map_method) == (localizer.map_kind, localizer.map_method)
    maps = "class_activation_maps"
    np.testing.assert_allclose(again(photos())[maps], localizer(photos())[maps], rtol=1e-5)


def test_the_summary_says_how_maps_are_made():
    lines = []
    build_localizer(mlp()).summary(print_fn=lambda line, **_: lines.append(line))
    assert lines[-1] == f" Maps: gradient ({DEFAULT_GRADIENT_METHOD})"


def test_exact_maps_can_be_demanded_and_unknown_methods_are_refused():
    with pytest.raises(ValueError, match=r"class activation map is exact only if .* \(Dense\)"):
        build_localizer(mlp(), method="cam")
    with pytest.raises(ValueError, match=r"`method` must be .* Received: method='grad'"):
        build_localizer(mlp(), method="grad")


def test_maps_of_a_transformer_are_refined_by_its_tokens_three_quarters_through(tmp_path):
    """Before the features, the end of block 3 of 4, are five sums: the fourth is the end of block 2."""
    model = vit(depth=4)
    localizer = build_localizer(model, method="layercam", refine="affinity", class_ids=[2])
    out = localizer(photos())
    sums = [operation.output for operation in model.operations if type(operation).__name__ == "Add"]
    tokens = np.asarray(keras.Model(model.inputs[0], sums[3])(photos()))[:, 1:]
    tokens = tokens - tokens.mean(axis=1, keepdims=True)
    tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
    affinity = np.maximum(tokens @ tokens.transpose(0, 2, 1), 0) ** 2
    cam = np.maximum(np.asarray(out["class_activation_maps"]).reshape(2, 16), 0)
    spread = np.einsum("bij,bj->bi", affinity, cam) / affinity.sum(axis=2)
    low, high = spread.min(axis=1, keepdims=True), spread.max(axis=1, keepdims=True)
    expected = ((spread - low) / (high - low)).reshape(2, 1, 4, 4)
    np.testing.assert_allclose(out["localization_maps"], expected, rtol=1e-3, atol=1e-4)
    localizer.save(tmp_path / "localizer.keras")
    again = load_localizer(tmp_path / "localizer.keras").localize(photos())
    np.testing.assert_allclose(again["localization_maps"], out["localization_maps"], atol=1e-5)


def test_a_method_of_ones_own():
    def features_only(evidence):
        return ops.tile(ops.sum(evidence.features, axis=-1)[:, None], (1, 2, 1, 1))

    localizer = build_localizer(mlp(), method=features_only, class_ids=[0, 1])
    maps = np.asarray(localizer(photos())["class_activation_maps"])
    assert maps.shape == (2, 2, 2, 2)
    np.testing.assert_array_equal(maps[:, 0], maps[:, 1])
    assert localizer.map_method == "features_only"


@pytest.mark.slow
@pytest.mark.parametrize("refine", ["none", "B", "look_again"])
def test_augmented_maps_are_the_mean_over_the_image_and_its_mirror_image(refine, tmp_path):
    images = keras.Input((64, 64, 3))
    x = layers.Conv2D(4, 3, strides=8, padding="same", activation="relu")(images)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
    model = randomized(keras.Model(images, dense(dense(layers.Flatten()(x), 8, activation="relu"))))
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 64, 64, 3)).astype("float32")
    plain, both = (
        build_localizer(model, method=method, refine=refine, class_ids=[2, 0])
        for method in ("gradcam++", "augment:gradcam++")
    )
    maps, mirrored, mean = (
        np.asarray(localizer(images)["class_activation_maps"])
        for localizer, images in ((plain, pixels), (plain, pixels[:, :, ::-1]), (both, pixels))
    )
    np.testing.assert_allclose(mean, (maps + mirrored[..., ::-1]) / 2, rtol=1e-4, atol=1e-6)
    localizer = build_localizer(model, method="augment:auto", refine=refine)
    assert (localizer.map_kind, localizer.map_method) == ("augmented", "augment:gradcam++")
    localizer.save(tmp_path / "localizer.keras")
    again = load_localizer(tmp_path / "localizer.keras")
    assert (again.map_kind, again.map_method) == ("augmented", "augment:gradcam++")
    for name, values in localizer(pixels).items():
        np.testing.assert_allclose(again.localize(pixels)[name], values, rtol=1e-4, atol=1e-5)
    asked = again.cam(pixels, again.localize(pixels)["detection_classes"])
    np.testing.assert_allclose(asked["class_activation_maps"], localizer(pixels)["class_activation_maps"])


def max_pooled(x):
    return dense(dense(layers.GlobalMaxPooling2D()(x), 8, activation="relu"))


@pytest.mark.parametrize("shape", [(None, None, 3), (32, 48, 3)])
@pytest.mark.parametrize("head", [lambda x: dense(pooled(x)), max_pooled])
def test_images_are_augmented_at_other_sizes_too(head, shape, tmp_path):
    """Of an image of one colour, all views have the same map, whatever their size."""
    images = keras.Input(shape)
    x = layers.Conv2D(6, 4, strides=4, activation="relu")(images)
    localizer = build_localizer(
        randomized(keras.Model(images, head(x))), method="augment:auto", refine="none", class_ids=[1]
    )
    sizes = [layer.scale for layer in localizer.layers if type(layer).__name__ == "ScaledImages"]
    assert sizes == [0.75, 1.5]
    pixels = np.random.default_rng(0).uniform(size=(1, 32, 48, 3)).astype("float32")
    localizer.save(tmp_path / "localizer.keras")
    again = keras.models.load_model(tmp_path / "localizer.keras")
    for name, values in localizer(pixels).items():
        np.testing.assert_array_equal(again(pixels)[name], values)
    maps = localizer(np.full((1, 32, 48, 3), 0.5, "float32"))["class_activation_maps"]
    assert maps.shape == (1, 1, 8, 12)
    np.testing.assert_allclose(maps, np.full_like(maps, maps[0, 0, 0, 0]), rtol=1e-5)
