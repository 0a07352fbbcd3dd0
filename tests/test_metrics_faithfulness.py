"""Insertion, deletion, confidence and ROAD, with numbers one can do by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cam.metrics import (
    ROAD,
    AverageDrop,
    AverageGain,
    DeletionAUC,
    IncreaseInConfidence,
    InsertionAUC,
    explanation_images,
    perturbed_images,
    road_images,
)
from keras_cam.metrics.insertion_deletion import pixel_ranks
from keras_cam.metrics.road import impute_linearly

IMAGE = np.arange(1.0, 17.0).reshape(4, 4, 1)
MAP = np.array([[0.0, 1], [2, 3]])


def test_explanation_images_keep_what_the_map_shows():
    images = explanation_images(np.full((1, 4, 4, 3), 200.0), MAP[None])
    assert images[0, 0, 0].numpy().tolist() == [0, 0, 0]
    assert images[0, 3, 3].numpy().tolist() == [200, 200, 200]
    assert not explanation_images(np.ones((1, 4, 4, 3)), np.full((1, 1, 2, 2), 7.0)).numpy().any()


@pytest.mark.parametrize(
    ("make", "expected"),
    # Confidence 0.8 -> 0.2, 0.5 -> 0.75, 0 -> 0, 1 -> 1.
    [(AverageDrop, 0.75 / 4), (IncreaseInConfidence, 1 / 4), (AverageGain, 0.5 / 4)],
)
def test_confidence_by_hand(make, expected):
    before, after = np.array([0.8, 0.5, 0.0, 1.0]), np.array([0.2, 0.75, 0.0, 1.0])
    metric, part = make(), make.from_config(make().get_config())
    tf.function(metric.update_state)(before[:1], after[:1])
    part.update_state(before[1:], after[1:])
    metric.merge_state([part])
    assert float(metric.result()) == pytest.approx(expected, abs=1e-12)


def test_pixel_ranks_follow_the_resized_map():
    ranks = pixel_ranks(MAP, (4, 4))
    assert ranks[3, 3] == 0
    assert ranks[0, 0] == 15
    assert sorted(ranks.ravel().tolist()) == list(range(16))


def test_deletion_removes_the_highest_pixels_first():
    game = np.stack(list(perturbed_images(IMAGE, MAP, "deletion", steps=4, baseline=-1)))
    assert [(step == -1).sum() for step in game] == [0, 4, 8, 12, 16]
    ranks = pixel_ranks(MAP, (4, 4))
    assert (ranks[(game[1] == -1)[..., 0]] < 4).all()
    np.testing.assert_array_equal(game[0], IMAGE)


def test_insertion_ends_with_the_image_and_starts_with_less_contrast():
    game = list(perturbed_images(np.tile(IMAGE, 3), MAP, "insertion", steps=3))
    np.testing.assert_array_equal(game[-1], np.tile(IMAGE, 3))
    assert np.ptp(game[0]) < np.ptp(IMAGE) / 2


def test_areas_under_the_curve_by_hand():
    probabilities = np.array([[[0, 1.0], [0, 0.5], [0, 0.5], [0, 0]]])
    for metric in (DeletionAUC(), InsertionAUC()):
        tf.function(metric.update_state)(np.array([1]), probabilities)
        metric.update_state([0], probabilities)
        assert float(metric.result()) == pytest.approx((0.75 + 0.5 + 0.25) / 3 / 2)


def test_imputed_pixels_are_means_of_their_neighbours():
    removed = np.zeros((4, 4), bool)
    removed[1, 1:3] = True
    image = impute_linearly(IMAGE, removed, noise=0.0)
    for x in (1, 2):
        around = image[0:3, x - 1 : x + 2, 0] * np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
        assert image[1, x, 0] == pytest.approx(around.sum(), abs=1e-5)
    np.testing.assert_array_equal(image[~removed], IMAGE[~removed])


def test_imputation_in_a_corner_leaves_out_what_is_not_there():
    removed = np.zeros((2, 2), bool)
    removed[0, 0] = True
    image = impute_linearly(np.array([[[9.0], [4]], [[8], [3]]]), removed, noise=0.0)
    assert image[0, 0, 0] == pytest.approx((2 * 4 + 2 * 8 + 3) / 5)


def test_a_plane_and_a_constant_survive_and_noise_is_repeatable():
    removed = np.random.default_rng(0).random((12, 15)) < 0.7
    assert impute_linearly(np.full((12, 15, 3), 7.0), removed, noise=0.0) == pytest.approx(7.0, abs=1e-4)
    noisy = [impute_linearly(np.zeros((12, 15, 3)), removed, noise=1.0, seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert not np.array_equal(noisy[0], noisy[2])
    assert not noisy[0][~removed].any()


def test_road_removes_from_either_end():
    first = road_images(IMAGE, MAP, "most_relevant_first", [0.25], noise=0.0)[0]
    last = road_images(IMAGE, MAP, "least_relevant_first", [0.25], noise=0.0)[0]
    ranks = pixel_ranks(MAP, (4, 4))[..., None]
    np.testing.assert_array_equal(first[ranks >= 4], IMAGE[ranks >= 4])
    np.testing.assert_array_equal(last[ranks < 12], IMAGE[ranks < 12])
    assert not np.array_equal(first, IMAGE)
    np.testing.assert_array_equal(road_images(IMAGE, MAP, fractions=[0.0])[0], IMAGE)


def test_road_counts_right_answers_at_each_fraction():
    probabilities = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.1, 0.9], [0.3, 0.7]]])
    metric = ROAD(fractions=(0.1, 0.5))
    tf.function(metric.update_state)(np.array([0, 1]), probabilities)
    assert metric.curve().tolist() == [1.0, 0.5]
    other = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    other.update_state([1, 1], probabilities, sample_weight=[0.0, 2.0])
    metric.merge_state([other])
    assert metric.curve().tolist() == [1.0, 0.75]
    assert float(metric.result()) == 0.875


def test_arguments_are_checked():
    with pytest.raises(ValueError, match='`mode` must be "insertion" or "deletion"'):
        next(perturbed_images(IMAGE, MAP, "both"))
    with pytest.raises(ValueError, match="`steps` must be at least 1"):
        next(perturbed_images(IMAGE, MAP, "deletion", steps=0))
    with pytest.raises(ValueError, match=r"Probabilities must be \(B, S, N\)"):
        DeletionAUC().update_state([0], [[0.5]])
    with pytest.raises(ValueError, match="must leave at least one pixel"):
        impute_linearly(IMAGE, np.ones((4, 4), bool))
    with pytest.raises(ValueError, match=r"shapes \(4, 4, 1\) and \(3, 3\)"):
        impute_linearly(IMAGE, np.ones((3, 3), bool))
    with pytest.raises(ValueError, match="`order` must be"):
        road_images(IMAGE, MAP, "first")
    with pytest.raises(ValueError, match=r"`fractions` must be in \[0, 1\)"):
        road_images(IMAGE, MAP, fractions=[1.0])
    with pytest.raises(ValueError, match=r"`y_pred` must be \(B, 9, N\)"):
        ROAD().update_state([0], [[[0.5]]])
