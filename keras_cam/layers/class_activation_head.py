"""Global average pooling and a linear classifier, for logits and for class activation maps."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_cam.ops.maps import class_activation_maps


@keras.saving.register_keras_serializable("keras_cam")
class ClassActivationHead(keras.layers.Layer):
    """Global average pooling and a linear classifier, which also returns the map of any class.

    `head(features)` returns logits, `head(features, class_ids)` the class activation maps of these classes.
    Both read the weights of the same layers at each call, so maps stay consistent with the logits through
    training, saving and loading: `mean(map) + bias == logit`, with `bias` from `affine()`.
    The layer computes in float32 for any precision of the features.

    Args:
        classifier: the layers between the pooling and the logits, in order, each affine in its channels:
            `Dense` and 1x1 `Conv2D` (their activations are ignored: the head gives logits) and
            `BatchNormalization` (its moving statistics are used). Empty if the pooled channels are the
            logits.

    Input shape:
        features: (B, h, w, C). class_ids (optional): integers (B, K). positive_weights=True sets the negative
        weights of the folded classifier to 0: such maps show only evidence for a class, and their mean does
        not give the logit.

    Output shape:
        Logits float32 (B, N), or maps float32 (B, K, h, w).

    Reference:
        Zhou et al., CVPR 2016, section 2.

    Examples:
        >>> import numpy as np
        >>> dense = keras.layers.Dense(2)
        >>> dense.build((None, 3))
        >>> head = ClassActivationHead([dense])
        >>> features = np.random.default_rng(0).random((1, 4, 4, 3))
        >>> logits, maps = head(features), head(features, np.array([[1, 0]]))
        >>> bool(np.allclose(np.mean(maps, axis=(2, 3)), np.asarray(logits)[:, ::-1], atol=1e-5))
        True
    """

    def __init__(self, classifier: Sequence[keras.layers.Layer], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.classifier = list(classifier)

    map_kind = "exact"
    map_method = "cam"
    taped: frozenset[str] = frozenset()  # it needs no gradients

    @property
    def weighted_classes(self) -> int:
        """The number of classes, if their maps are weighted sums of channels; else 0."""
        units = [layer.kernel.shape[-1] for layer in self.classifier if hasattr(layer, "kernel")]
        return units[-1] if units else 0

    def call(self, features: Any, class_ids: Any = None, positive_weights: bool = False) -> Any:
        kernel, bias = self.affine()
        if positive_weights and kernel is not None:
            kernel = ops.relu(kernel)
        if class_ids is None:
            pooled = ops.mean(features, axis=(1, 2))
            return pooled if kernel is None else ops.matmul(pooled, kernel) + bias
        if kernel is not None:
            return class_activation_maps(features, kernel, class_ids)
        channels_first = ops.transpose(features, (0, 3, 1, 2))
        return ops.take_along_axis(channels_first, class_ids[:, :, None, None], axis=1)

    def affine(self) -> tuple[Any, Any]:
        """The classifier folded into `logits = pooled @ kernel + bias`.

        Returns:
            `(kernel, bias)`, float32 (C, N) and (N,); `(None, 0.0)` if the pooled channels are the logits.
        """
        kernel, bias = None, 0.0
        for layer in reversed(self.classifier):
            weights, shift = channel_affine(layer)
            if kernel is None:
                kernel, bias = weights if len(weights.shape) == 2 else ops.diag(weights), shift
            else:
                bias = ops.matmul(shift, kernel) + bias
                kernel = ops.matmul(weights, kernel) if len(weights.shape) == 2 else weights[:, None] * kernel
        return kernel, bias

    def compute_output_shape(self, features_shape: Any, class_ids_shape: Any = None) -> tuple:
        batch, height, width, channels = features_shape
        if class_ids_shape is not None:
            return (batch, class_ids_shape[1], height, width)
        return (batch, self.weighted_classes or channels)

    def get_config(self) -> dict[str, Any]:
        classifier = [keras.saving.serialize_keras_object(layer) for layer in self.classifier]
        return {**super().get_config(), "classifier": classifier}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ClassActivationHead":
        classifier = [keras.saving.deserialize_keras_object(layer) for layer in config["classifier"]]
        return cls(**{**config, "classifier": classifier})


def channel_affine(layer: keras.layers.Layer) -> tuple[Any, Any]:
    """What a layer does to channels at inference, but for its activation: `(weights, shift)`, float32.

    The weights are a matrix (C, N), or for `BatchNormalization` a scale for each channel (C,); the shift is
    (N,).
    """
    if isinstance(layer, keras.layers.BatchNormalization):
        scale = ops.rsqrt(ops.cast(layer.moving_variance, "float32") + layer.epsilon)
        if layer.scale:
            scale = scale * ops.cast(layer.gamma, "float32")
        shift = -ops.cast(layer.moving_mean, "float32") * scale
        return scale, shift + ops.cast(layer.beta, "float32") if layer.center else shift
    weights = kernel_of(layer)
    weights = ops.reshape(weights, weights.shape[-2:])  # a 1x1 convolution's (1, 1, C, N)
    if layer.use_bias:
        return weights, ops.cast(layer.bias, "float32")
    return weights, ops.zeros(weights.shape[-1])


def kernel_of(layer: keras.layers.Layer) -> Any:
    """The weights of a layer in float32, also if they are quantized."""
    kernel = ops.cast(layer.kernel, "float32")
    mode = getattr(layer, "quantization_mode", None)
    if mode == "int8":
        return kernel / layer.kernel_scale
    if mode in (None, "float8"):
        return kernel
    raise ValueError(
        'The classifier\'s weights must be float, or quantized to "int8" with one scale per class. '
        f"Received: layer {layer.name!r} quantized to {mode!r}"
    )
