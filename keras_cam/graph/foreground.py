"""The part of a localizer that separates foreground from background."""

from collections.abc import Sequence
from typing import Any

import keras


def build_foreground(channels: int, units: int = 64) -> keras.Model:
    """Build an untrained network from mid-level features to a foreground probability at each position.

    Args:
        channels: int, the total number of channels of the mid-level features.
        units: int, the number of channels of the two hidden layers.

    Returns:
        A `keras.Model` from (B, h, w, channels) to float32 (B, h, w, 1) in [0, 1].

    Examples:
        >>> build_foreground(120)(keras.ops.zeros((1, 20, 20, 120))).shape
        TensorShape([1, 20, 20, 1])
    """
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None, None, channels), name="features"),
            layers.Normalization(name="standardized"),
            layers.Conv2D(units, 1, activation="relu"),
            layers.Conv2D(units, 3, padding="same", activation="relu"),
            layers.Conv2D(1, 1, activation="sigmoid", dtype="float32"),
        ],
        name="foreground",
    )


def foreground_of(foreground: keras.Model, taps: Sequence[Any]) -> Any:
    """Apply a trained foreground network to a localizer's mid-level features.

    Args:
        foreground: a model from `build_foreground`.
        taps: the mid-level features, KerasTensors (B, h, w, C_n).

    Returns:
        A KerasTensor (B, h, w, 1).

    Raises:
        ValueError: the network takes another number of channels.
    """
    channels = sum(tap.shape[-1] for tap in taps)
    if foreground.input_shape[-1] != channels:
        raise ValueError(
            f"`foreground` must take the {channels} channels of the localizer's mid-level features. "
            f"Received: a model that takes {foreground.input_shape}"
        )
    features = taps[0] if len(taps) == 1 else keras.layers.Concatenate()(taps)
    return foreground(features)
