"""Attention-based dropout: hides the most discriminative part of a feature map during training."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cam")
class AttentionDropout(keras.layers.Layer):
    """Drops the positions of highest attention, or multiplies by the attention; only during training.

    The attention is the mean over the channels. Each call either sets to 0 all positions above a fraction of
    the maximum, so that the network learns to use other parts of the object, or multiplies the features by
    the sigmoid of the attention, which preserves the classification accuracy.

    Args:
        drop_rate: float in [0, 1], the probability that a call drops positions.
        threshold: float in [0, 1], the fraction of the maximum above which positions are dropped.
        seed: int, the random seed.

    Input shape:
        (B, h, w, C).

    Output shape:
        The input shape.

    Reference:
        Choe, Shim, "Attention-based Dropout Layer for Weakly Supervised Object Localization", CVPR 2019,
        section 3.

    Examples:
        >>> import numpy as np
        >>> features = np.array([1.0, 2.0, 10.0]).reshape((1, 1, 3, 1))
        >>> AttentionDropout(drop_rate=1.0)(features, training=True).numpy().ravel().tolist()
        [1.0, 2.0, 0.0]
    """

    def __init__(
        self, drop_rate: float = 0.75, threshold: float = 0.9, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not (0 <= drop_rate <= 1 and 0 <= threshold <= 1):
            raise ValueError(
                "`drop_rate` and `threshold` must be in [0, 1]. "
                f"Received: drop_rate={drop_rate!r}, threshold={threshold!r}"
            )
        self.drop_rate = drop_rate
        self.threshold = threshold
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, features: Any, training: bool = False) -> Any:
        if not training:
            return features
        attention = ops.mean(features, axis=-1, keepdims=True)
        peak = ops.max(attention, axis=(1, 2), keepdims=True)
        kept = ops.cast(attention <= self.threshold * peak, features.dtype)
        drops = keras.random.uniform((), seed=self.seed_generator) < self.drop_rate
        return features * ops.where(drops, kept, ops.sigmoid(attention))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {"drop_rate": self.drop_rate, "threshold": self.threshold, "seed": self.seed}
        return {**super().get_config(), **config}
