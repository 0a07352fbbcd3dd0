"""The maps against numbers by hand, and against what the paper's authors released."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from keras_cam.ops import class_activation_maps

GOLDENS = os.environ.get("KERAS_CAM_GOLDENS")


def test_map_is_the_weighted_sum_of_the_features():
    features = np.array([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]], "float32")
    kernel = np.array([[1.0, 0.0, -1.0], [0.0, 10.0, 1.0]], "float32")
    maps = ops.convert_to_numpy(class_activation_maps(features, kernel, np.array([[2, 1]])))
    assert maps.tolist() == [[[[1, 1], [1, 1]], [[20, 40], [60, 80]]]]


def test_each_image_gets_the_maps_of_its_own_classes():
    features = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype("float32")
    kernel = np.random.default_rng(1).normal(size=(6, 7)).astype("float32")
    class_ids = np.array([[0, 6], [3, 3], [5, 1]])
    maps = ops.convert_to_numpy(class_activation_maps(features, kernel, class_ids))
    every = np.einsum("bhwc,cn->bnhw", features, kernel)
    for image, asked in enumerate(class_ids):
        np.testing.assert_allclose(maps[image], every[image, asked], atol=1e-5)


@pytest.mark.skipif(not GOLDENS, reason="KERAS_CAM_GOLDENS names the folder of released results")
def test_maps_give_the_scores_the_authors_released():
    folder = Path(GOLDENS) / "cam_authors"
    released = np.load(folder / "googlenet_cam_img1.npz")
    features, kernel, scores = released["features"], released["kernel"], released["scores"]
    assert len(json.loads((folder / "categories.json").read_text())) == kernel.shape[1]
    every_class = np.tile(np.arange(kernel.shape[1]), (len(features), 1))
    maps = ops.convert_to_numpy(class_activation_maps(features, kernel, every_class))
    np.testing.assert_allclose(
        maps, np.einsum("bhwc,cn->bnhw", features.astype("float64"), kernel), atol=1e-3
    )
    pooled = ops.convert_to_numpy(ops.softmax(maps.mean(axis=(2, 3))))  # the classifier has no bias
    np.testing.assert_allclose(pooled, scores, atol=1e-3)
    assert (pooled.argmax(axis=1) == scores.argmax(axis=1)).all()
