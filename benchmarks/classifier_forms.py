"""Fifty small image classifiers, each with a head written in another way: the rows of a table.

Every function builds one with random weights and says in its name what is special about it. The forms in
`EXACT` have exact maps: their logits are an affine function of the features once statistics of the image are
fixed.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

CLASSES = 5


def image(size: int = 32, channels: int = 3, name: str = "images") -> Any:
    return keras.Input((size, size, channels), name=name)


def features(images: Any, filters: int = 16, name: str = "features") -> Any:
    """Feature maps of stride 4."""
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(images)
    return layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", name=name)(x)


def tokens(images: Any, width: int = 16) -> Any:
    """Patch tokens (B, 16, width) of 8 x 8 pixels, after one attention block."""
    patches = layers.Conv2D(width, 8, strides=8, name="patches")(images)
    return attention_block(layers.Reshape((16, width))(patches))


def attention_block(x: Any) -> Any:
    normalized = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(normalized, normalized)])
    hidden = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
    return layers.Add()([x, layers.Dense(x.shape[-1])(hidden)])


def pooled(images: Any) -> Any:
    return layers.GlobalAveragePooling2D()(features(images))


def on_pooled(head: Callable[[Any], Any]) -> keras.Model:
    images = image()
    return keras.Model(images, head(pooled(images)))


def on_features(head: Callable[[Any], Any]) -> keras.Model:
    images = image()
    return keras.Model(images, head(features(images)))


def on_tokens(head: Callable[[Any], Any]) -> keras.Model:
    images = image()
    return keras.Model(images, head(tokens(images)))


def dense(x: Any, **options: Any) -> Any:
    return layers.Dense(CLASSES, **options)(x)


# Exact: one affine layer.


def gap_dense() -> keras.Model:
    return on_pooled(dense)


def softmax_in_dense() -> keras.Model:
    return on_pooled(lambda x: dense(x, activation="softmax"))


def multi_label_sigmoid() -> keras.Model:
    return on_pooled(lambda x: layers.Activation("sigmoid")(dense(x)))


def one_sigmoid_unit() -> keras.Model:
    return on_pooled(layers.Dense(1, activation="sigmoid"))


def log_softmax() -> keras.Model:
    return on_pooled(lambda x: dense(x, activation="log_softmax"))


def softmax_of_tensorflow() -> keras.Model:
    return on_pooled(lambda x: dense(x, activation=tf.nn.softmax))


def sequential() -> keras.Model:
    convolution = layers.Conv2D(16, 3, strides=2, activation="relu")
    return keras.Sequential([image(), convolution, layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)])


def nested_backbone() -> keras.Model:
    inner = image(name="inner")
    backbone = keras.Model(inner, features(inner), name="backbone")
    images = image()
    x = backbone(layers.Rescaling(1 / 255)(layers.RandomFlip()(images)))
    return keras.Model(images, dense(layers.GlobalAveragePooling2D()(x)))


def einsum_dense() -> keras.Model:
    return on_pooled(layers.EinsumDense("bc,cn->bn", CLASSES, bias_axes="n"))


def spectral_normalization() -> keras.Model:
    return on_pooled(layers.SpectralNormalization(layers.Dense(CLASSES)))


def convolution_then_pooling() -> keras.Model:
    return on_features(lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(CLASSES, 1)(x)))


def convolution_on_pooled() -> keras.Model:
    def head(x: Any) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Flatten()(layers.Conv2D(CLASSES, 1)(x))

    return on_features(head)


# Exact: several affine operations.


def two_linear_layers() -> keras.Model:
    return on_pooled(lambda x: dense(layers.BatchNormalization()(layers.Dense(8)(x))))


def temperature() -> keras.Model:
    return on_pooled(lambda x: layers.Rescaling(1 / 0.07)(dense(x)) / 2.0)


def multi_sample_dropout() -> keras.Model:
    def head(x: Any) -> Any:
        shared = layers.Dense(CLASSES)
        return layers.Average()([shared(layers.Dropout(0.5)(x)) for _ in range(3)])

    return on_pooled(head)


def linear_residual() -> keras.Model:
    return on_pooled(lambda x: dense(layers.Add()([x, layers.Dense(16)(x)])))


def average_of_two_heads() -> keras.Model:
    return on_pooled(lambda x: (dense(x) + dense(x)) / 2.0)


def upsampled_logits() -> keras.Model:
    def head(x: Any) -> Any:
        return ops.mean(
            layers.UpSampling2D(4, interpolation="bilinear")(layers.Conv2D(CLASSES, 1)(x)), (1, 2)
        )

    return on_features(head)


# Exact: statistics of the image held fixed.


def layer_norm() -> keras.Model:
    return on_pooled(lambda x: dense(layers.LayerNormalization()(x)))


def rms_norm() -> keras.Model:
    return on_pooled(lambda x: dense(layers.RMSNormalization()(x)))


def unit_norm() -> keras.Model:
    return on_pooled(lambda x: dense(layers.UnitNormalization()(x)))


def cosine_classifier() -> keras.Model:
    return on_pooled(lambda x: 16.0 * dense(ops.normalize(x, axis=-1), use_bias=False))


def attention_pooling() -> keras.Model:
    def head(x: Any) -> Any:
        x = layers.Reshape((64, 16))(x)
        weights = layers.Softmax(axis=1)(layers.Dense(1)(layers.Dense(8, activation="tanh")(x)))
        return dense(ops.sum(weights * x, axis=1))

    return on_features(head)


# Exact: pooling written otherwise.


def two_means() -> keras.Model:
    return on_features(lambda x: dense(ops.mean(ops.mean(x, axis=1), axis=1)))


def reshape_and_gap1d() -> keras.Model:
    return on_features(lambda x: dense(layers.GlobalAveragePooling1D()(layers.Reshape((64, 16))(x))))


def sum_pooling() -> keras.Model:
    return on_features(lambda x: dense(ops.sum(x, axis=(1, 2))))


def average_pooling_and_flatten() -> keras.Model:
    return on_features(lambda x: dense(layers.Flatten()(layers.AveragePooling2D(4)(x))))


def flatten_and_dense() -> keras.Model:
    return on_features(lambda x: dense(layers.Flatten()(x)))


def depthwise_pooling() -> keras.Model:
    return on_features(lambda x: dense(layers.Flatten()(layers.DepthwiseConv2D(8)(x))))


def channels_first() -> keras.Model:
    def head(x: Any) -> Any:
        x = layers.Permute((3, 1, 2))(x)
        return dense(layers.GlobalAveragePooling2D(data_format="channels_first")(x))

    return on_features(head)


# Exact: several inputs, stages or backbones; tokens; other ranks.


def two_stages() -> keras.Model:
    images = image()
    fine = features(images)
    coarse = layers.Conv2D(24, 3, strides=2, padding="same", activation="relu")(fine)
    both = layers.Concatenate()([layers.GlobalAveragePooling2D()(x) for x in (fine, coarse)])
    return keras.Model(images, dense(both))


def two_backbones() -> keras.Model:
    images = image()
    both = [layers.GlobalAveragePooling2D()(features(images, name=name)) for name in ("one", "other")]
    return keras.Model(images, dense(layers.Concatenate()(both)))


def image_and_metadata() -> keras.Model:
    images, metadata = image(), keras.Input((4,), name="metadata")
    known = layers.Dense(8, activation="relu")(metadata)
    return keras.Model([images, metadata], dense(layers.Concatenate()([pooled(images), known])))


def mean_of_tokens() -> keras.Model:
    return on_tokens(lambda x: dense(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))))


def mean_without_class_token() -> keras.Model:
    images = image()
    patches = layers.Reshape((16, 16))(layers.Conv2D(16, 8, strides=8, name="patches")(images))
    first = ops.mean(patches, axis=1, keepdims=True)
    x = attention_block(layers.Concatenate(axis=1)([first, patches]))
    return keras.Model(images, dense(ops.mean(x[:, 1:], axis=1)))


def signal() -> keras.Model:
    samples = keras.Input((64, 2), name="samples")
    x = layers.Conv1D(8, 5, strides=2, padding="same", activation="relu")(samples)
    return keras.Model(samples, dense(layers.GlobalAveragePooling1D()(x)))


def volume() -> keras.Model:
    voxels = keras.Input((16, 16, 16, 1), name="voxels")
    x = layers.Conv3D(8, 3, strides=2, padding="same", activation="relu")(voxels)
    return keras.Model(voxels, dense(layers.GlobalAveragePooling3D()(x)))


# Exact: what Keras cannot look into by itself.


@keras.saving.register_keras_serializable("keras_cam_forms")
class PoolAndClassify(layers.Layer):
    """A head in one custom layer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pooling = layers.GlobalAveragePooling2D()
        self.classifier = layers.Dense(CLASSES)

    def build(self, shape: Any) -> None:
        self.classifier.build((shape[0], shape[-1]))
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.classifier(self.pooling(inputs))


@keras.saving.register_keras_serializable("keras_cam_forms")
class Subclassed(keras.Model):
    """A classifier whose layers meet only in `call`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.convolution = layers.Conv2D(16, 3, strides=4, padding="same", activation="relu")
        self.head = PoolAndClassify()

    def call(self, inputs: Any) -> Any:
        return self.head(self.convolution(inputs))


def custom_head() -> keras.Model:
    return on_features(PoolAndClassify())


def subclassed() -> keras.Model:
    model = Subclassed()
    model(ops.zeros((1, 32, 32, 3)))
    return model


# Not exact: an operation after the features is nonlinear, so that a gradient's map is made.


def hidden_layer() -> keras.Model:
    return on_pooled(lambda x: dense(layers.Dropout(0.2)(layers.Dense(16, activation="relu")(x))))


def fully_connected() -> keras.Model:
    return on_features(lambda x: dense(layers.Dense(32, activation="relu")(layers.Flatten()(x))))


def max_pooling() -> keras.Model:
    return on_features(lambda x: dense(layers.GlobalMaxPooling2D()(x)))


def average_and_max_pooling() -> keras.Model:
    def head(x: Any) -> Any:
        return dense(
            layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
        )

    return on_features(head)


def generalized_mean() -> keras.Model:
    return on_features(lambda x: dense(ops.mean((ops.relu(x) + 1e-3) ** 3.0, axis=(1, 2)) ** (1 / 3)))


def squeeze_and_excite() -> keras.Model:
    def head(x: Any) -> Any:
        return dense(layers.Multiply()([x, layers.Dense(16, activation="sigmoid")(x)]))

    return on_pooled(head)


def log_sum_exp() -> keras.Model:
    return on_features(lambda x: ops.logsumexp(layers.Conv2D(CLASSES, 1)(x), axis=(1, 2)))


def class_token() -> keras.Model:
    images = image()
    patches = layers.Reshape((16, 16))(layers.Conv2D(16, 8, strides=8, name="patches")(images))
    x = layers.Concatenate(axis=1)([ops.mean(patches, axis=1, keepdims=True), patches])
    x = attention_block(attention_block(x))
    return keras.Model(images, dense(layers.LayerNormalization()(x)[:, 0]))


def attention_with_a_query() -> keras.Model:
    def head(x: Any) -> Any:
        query = ops.mean(x, axis=1, keepdims=True)
        return dense(layers.Flatten()(layers.MultiHeadAttention(2, 8)(query, x)))

    return on_tokens(head)


def average_of_probabilities() -> keras.Model:
    return on_pooled(lambda x: layers.Average()([dense(x, activation="softmax") for _ in range(2)]))


def recurrent() -> keras.Model:
    return on_features(lambda x: dense(layers.GRU(8)(layers.Reshape((64, 16))(x))))


EXACT = (
    gap_dense,
    softmax_in_dense,
    multi_label_sigmoid,
    one_sigmoid_unit,
    log_softmax,
    softmax_of_tensorflow,
    sequential,
    nested_backbone,
    einsum_dense,
    spectral_normalization,
    convolution_then_pooling,
    convolution_on_pooled,
    two_linear_layers,
    temperature,
    multi_sample_dropout,
    linear_residual,
    average_of_two_heads,
    upsampled_logits,
    layer_norm,
    rms_norm,
    unit_norm,
    cosine_classifier,
    attention_pooling,
    two_means,
    reshape_and_gap1d,
    sum_pooling,
    average_pooling_and_flatten,
    flatten_and_dense,
    depthwise_pooling,
    channels_first,
    two_stages,
    two_backbones,
    image_and_metadata,
    mean_of_tokens,
    mean_without_class_token,
    signal,
    volume,
    custom_head,
    subclassed,
)
NOT_EXACT = (
    hidden_layer,
    fully_connected,
    max_pooling,
    average_and_max_pooling,
    generalized_mean,
    squeeze_and_excite,
    log_sum_exp,
    class_token,
    attention_with_a_query,
    average_of_probabilities,
    recurrent,
)

FORMS: dict[str, Callable[[], keras.Model]] = {form.__name__: form for form in (*EXACT, *NOT_EXACT)}
