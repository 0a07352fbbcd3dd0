"""The paper's own boxes: by hand, against a localizer's layer, and against the released program."""

import os
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from keras_cam.layers import MapDetections
from keras_cam.metrics.zhou2016 import heat_map, zhou2016, zhou2016_released, zhou2016_test

GOLDENS = os.environ.get("KERAS_CAM_GOLDENS")


def test_the_largest_region_wins_not_the_highest():
    image = np.zeros((20, 20))
    image[2:4, 2:4] = 9.0
    image[10:15, 8:18] = 3.0
    assert zhou2016(image, (20, 20)).tolist() == [[8, 10, 18, 15]]
    assert zhou2016(image, (20, 20), threshold=0.5).tolist() == [[2, 2, 4, 4]]


def test_pixels_at_the_threshold_do_not_count_and_corners_connect():
    image = np.array([[10.0, 2, 0], [2, 5, 0], [0, 0, 5]])
    assert zhou2016(image, (3, 3)).tolist() == [[0, 0, 3, 3]]
    assert zhou2016(image, (3, 3), threshold=0.5).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.7])
def test_maps_without_a_box(value):
    assert zhou2016(np.full((7, 7), value), (224, 224)).shape == (0, 4)
    assert heat_map(np.full((7, 7), -1.0), (8, 8)).max() == 0


def test_five_boxes_are_those_of_the_localizers_rule():
    maps = np.random.default_rng(0).normal(size=(3, 7, 7))
    maps = np.stack([cv2.GaussianBlur(a, (0, 0), 1.2) for a in maps]).astype("float32")
    ranks, boxes_xyxy = zhou2016_test(list(maps), (224, 224))
    assert ranks.tolist() == [0, 0, 1, 1, 2]
    rows = MapDetections(rule="tight_and_loose")(
        maps[None], np.array([[0, 1, 2]]), np.full((1, 3), 0.3), np.zeros((1, 224, 224, 3))
    )
    boxes_yxyx = 224 * keras.ops.convert_to_numpy(rows["detection_boxes"])[0]
    np.testing.assert_allclose(boxes_yxyx[:, [1, 0, 3, 2]], boxes_xyxy, atol=1.0)
    assert keras.ops.convert_to_numpy(rows["detection_classes"]).tolist() == [ranks.tolist()]


def test_fewer_classes_give_fewer_of_the_five_boxes():
    ranks, boxes_xyxy = zhou2016_test([[[0.0, 1.0]]], (10, 10))
    assert ranks.tolist() == [0, 0]
    assert boxes_xyxy.shape == (2, 4)
    assert zhou2016_test([], (10, 10))[1].shape == (0, 4)


def test_released_boxes_are_cut_short_at_the_right_and_lower_border():
    image = np.full((50, 60), 255, "uint8")
    assert zhou2016_released(image)[0].tolist() == [0, 0, 55, 45]


def test_released_program_drops_thin_parts():
    image = np.zeros((200, 300), "uint8")
    image[40:140, 40:140] = 255
    image[88:90, 140:200] = 255  # a pixel from the background at most, of 50: five parts of 255
    # Two of 50 pixels are just as much as 10 parts and fall off. Beside the bar, where the background is
    # farther, the second pixel stays.
    assert zhou2016_released(image)[0].tolist() == [42, 42, 139, 138]


def test_released_boxes_that_overlap_much_are_dropped():
    image = np.zeros((200, 300), "uint8")
    image[20:180, 20:180] = 50
    image[60:100, 60:100] = 255  # small in the large one: both stay; for 100 and 110 alike: one goes
    assert len(zhou2016_released(image)) == 2


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"`threshold` must be in \[0, 1\)\. Received: threshold=1"):
        zhou2016(np.eye(2), (4, 4), threshold=1)
    with pytest.raises(ValueError, match=r"finite\. Received: shape \(1, 2\), 1 values not finite"):
        zhou2016([[np.nan, 1.0]], (4, 4))
    with pytest.raises(ValueError, match=r"`image` must be uint8 \(H, W\)\. Received: float64 \(2, 2\)"):
        zhou2016_released(np.eye(2))
    with pytest.raises(ValueError, match=r"0 < t0 < t1 < t2 < 255\. Received: \(20, 20, 30\)"):
        zhou2016_released(np.zeros((9, 9), "uint8"), (20, 20, 30))


@pytest.mark.skipif(GOLDENS is None, reason="KERAS_CAM_GOLDENS is not set")
def test_released_boxes_equal_those_of_the_authors_program():
    folder = Path(GOLDENS) / "cam_authors"
    x, y, w, h = np.array((folder / "heatmap_6.txt").read_text().split(), int).reshape(-1, 4).T
    image = cv2.imread(str(folder / "heatmap_6.jpg"), cv2.IMREAD_GRAYSCALE)
    assert zhou2016_released(image).tolist() == np.stack([x, y, x + w, y + h], axis=1).tolist()
