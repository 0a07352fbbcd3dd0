"""Refinement of class activation maps by the affinity of mid-level features."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_cam.ops.affinity import affinity, positive_part, spread
from keras_cam.ops.area_resize import area_resize


@keras.saving.register_keras_serializable("keras_cam")
class AffinityRefinement(keras.layers.Layer):
    """Spreads class activation maps over positions with similar mid-level features.

    Let `c` be the map of a class, with negative values set to 0 and divided by its maximum, and `x_i` the
    mid-level feature vector at position `i`, minus the image's mean and scaled to length 1. The refined map
    `v` is

        v_i = sum_j a_ij c_j / sum_j a_ij
        a_ij = relu(mean over the feature tensors of x_i . x_j) ** 2

    All classes of an image share the affinity `a`, which has `N * N` values for N positions. The layer
    computes in float32 for any precision of the features.

    Input shape:
        maps (B, K, h', w'), of any size; features: a list of mid-level features (B, h, w, C_n), all of the
        same height and width, such as the output of `AlignedFeatures`.

    Output shape:
        float32 (B, K, h, w) in [0, 1].

    Examples: a map that is positive at one corner spreads over the left half, where all features are equal.
        >>> import numpy as np
        >>> halves = np.zeros((1, 2, 4, 1), "float32")
        >>> halves[:, :, :2] = 1.0
        >>> corner = np.zeros((1, 1, 2, 4), "float32")
        >>> corner[0, 0, 0, 0] = 5.0
        >>> AffinityRefinement()(corner, [halves]).numpy()[0, 0].tolist()
        [[0.25, 0.25, 0.0, 0.0], [0.25, 0.25, 0.0, 0.0]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, maps: Any, features: Sequence[Any]) -> Any:
        batch, classes, *map_hw = ops.shape(maps)
        height, width = ops.shape(features[0])[1:3]
        vectors = [ops.reshape(kind, (batch, height * width, kind.shape[-1])) for kind in features]
        seeds = ops.reshape(positive_part(maps), (batch * classes, *map_hw, 1))
        seeds = ops.reshape(area_resize(seeds, (height, width)), (batch, classes, height * width))
        return ops.reshape(spread(seeds, affinity(vectors)), (batch, classes, height, width))

    def compute_output_shape(self, maps_shape: Any, features_shape: Any) -> tuple:
        return (*maps_shape[:2], *features_shape[0][1:3])
