"""The choe2020 protocol: by hand, against its contour search, and against the reference's own figures."""

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_cam.metrics import MaxBoxAcc, MaxBoxAccV2, PxAP, choe2020
from keras_cam.metrics.box_curve import BoxCurve, contour_boxes, inclusive_ious
from keras_cam.metrics.level_components import FINE, level_components
from keras_cam.metrics.max_box_accuracy import boxes_in_pixels

GOLDENS = Path(__file__).parent / "goldens" / "wsol"


def assert_equals_brute_force(score_map: np.ndarray) -> None:
    """Every box at every level, and what follows from them."""
    image = (score_map * 255).astype("uint8")
    height, width = image.shape
    levels = choe2020.THRESHOLDS * image.max()
    truth = np.array([[0, 0, (width - 1) // 2, height - 1], [width // 3, height // 4, width - 1, height - 1]])
    curve = BoxCurve(score_map)
    largest = curve.largest_boxes(choe2020.THRESHOLDS)
    best = curve.best_ious(choe2020.THRESHOLDS, truth)
    steps = [0.1, 0.3, 0.5, 0.7, 0.9]
    hits = BoxCurve(score_map).largest_hits(choe2020.THRESHOLDS, truth, steps)
    ious = inclusive_ious(largest, truth).max(axis=1)
    np.testing.assert_array_equal(hits, ious >= np.array(steps)[:, None])
    for level, first in zip(*np.unique(levels.astype(int), return_index=True), strict=True):
        assert largest[first].tolist() == contour_boxes(image, int(level), largest_only=True)[0].tolist()
        every = contour_boxes(image, int(level))
        assert best[first] == inclusive_ious(every, truth).max()
        if image.max() > 0:
            mine = curve._all[1][curve._all[0] == curve._level_of([level / image.max()])[0]]
            assert sorted(mine.tolist()) == sorted(every.tolist())


sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))
noise = hnp.arrays("float64", sizes, elements=st.floats(-1, 1, width=32))
plateaus = hnp.arrays("int8", sizes, elements=st.integers(-2, 2))
masks = hnp.arrays("bool", sizes)


@settings(max_examples=60, deadline=None)
@given(st.one_of(noise, plateaus, masks))
@example(np.zeros((3, 3)))
@example(np.full((5, 4), -2.0))
@example(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]))  # a hole whose border line is that of the whole
@example(np.pad(np.pad(np.pad(np.ones((1, 1)), 2), 1, constant_values=1), 1))  # an island in a hole
@example(np.eye(6))
def test_one_pass_finds_what_the_search_at_every_threshold_finds(values):
    values = values.astype("float64")
    span = values.max() - values.min()
    assert_equals_brute_force((values - values.min()) / span if span > 0 else np.zeros_like(values))


@pytest.mark.parametrize("grid", [3, 7, 14, 28])
@pytest.mark.parametrize("size_hw", [(224, 224), (60, 97)])
def test_one_pass_finds_what_the_search_finds_on_smooth_maps(grid, size_hw):
    raw = np.random.default_rng(grid).normal(size=(grid, grid))
    assert_equals_brute_force(choe2020.score_map(raw, size_hw))
    assert_equals_brute_force(choe2020.score_map(cv2.GaussianBlur(raw, (0, 0), grid / 10), size_hw))


def test_one_pass_finds_what_the_search_finds_on_rounding_noise():
    assert_equals_brute_force(choe2020.score_map(np.full((13, 13), -0.3)))


def test_levels_below_the_maximum_of_the_map_only():
    assert_equals_brute_force(np.array([[0.1, 0.3, 0.2], [0.0, 0.1, 0.3]]))


def test_a_box_ends_behind_its_last_pixel_unless_that_is_the_last_of_the_image():
    score_map = np.zeros((5, 6))
    score_map[1:3, 1:4] = 1
    assert BoxCurve(score_map).largest_boxes([0.5]).tolist() == [[1, 1, 4, 3]]
    assert BoxCurve(score_map[:3, :4]).largest_boxes([0.5]).tolist() == [[1, 1, 3, 2]]


def test_no_contour_is_the_box_of_zeros():
    curve = BoxCurve(np.zeros((4, 4)))
    assert curve.largest_boxes([0.0, 0.9]).tolist() == [[0, 0, 0, 0]] * 2
    assert curve.best_ious([0.0], [[0, 0, 1, 1]]).tolist() == [0.25]


def test_four_connected_components_part_at_corners():
    keys = np.array([[2, 0], [0, 2]], "int32") << FINE
    four, eight = (level_components(keys, connectivity) for connectivity in (4, 8))
    assert np.bincount(four.at_levels()[1]).tolist() == [2, 2]
    assert np.bincount(eight.at_levels()[1]).tolist() == [1, 1]


@pytest.mark.parametrize("values", [np.full((2, 2), np.nan), np.array([[0, 1.5]]), np.array([[-0.1, 1]])])
def test_scores_outside_the_range_are_refused(values):
    with pytest.raises(ValueError, match=r"`score_map` must have values in \[0, 1\]"):
        BoxCurve(values)


def test_other_arguments_are_checked():
    with pytest.raises(ValueError, match=r"`thresholds` must be \(T,\) with values in \[0, 1\)"):
        BoxCurve(np.eye(2)).largest_boxes([1.0])
    with pytest.raises(ValueError, match=r"`score_map` must be \(H, W\)"):
        BoxCurve(np.zeros(3))
    with pytest.raises(ValueError, match="`boxes_inclusive` must be 0 <= x0"):
        choe2020.box_hits(np.eye(2), [[5, 5, 4, 8]])
    with pytest.raises(ValueError, match=r"`mask` must have the shape \(224, 224\)"):
        choe2020.score_histograms(np.eye(2), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="No mask has a pixel"):
        choe2020.pixel_average_precision(np.zeros((2, 1002)))


def test_a_map_with_a_nan_scores_zero_everywhere():
    assert not choe2020.score_map([[np.nan, 1.0]], (8, 8)).any()


def test_boxes_are_scaled_and_truncated_with_their_last_pixel():
    boxes = choe2020.inclusive_boxes([[10, 20, 110, 220]], image_size_hw=(448, 224))
    assert boxes.tolist() == [[10, 10, 109, 109]]


def test_pixel_average_precision_by_hand():
    # Scores 1, 0.5 and 0: precision 1, 2/3, 1/2 where recall grows by 1/2, 1/2, 0. The first bin of the
    # curve has no pixel and does not count.
    histograms = choe2020.score_histograms([[4.0, 3, 3, 2]], [[1, 1, 0, 0]], (1, 4))
    assert choe2020.pixel_average_precision(histograms) == pytest.approx(100 * (1 / 2 + 2 / 3 / 2))


def two_images():
    maps = np.zeros((2, 4, 4), "float32")
    maps[0, 1:3, 1:3] = 1
    maps[1, 0, 0] = 1
    boxes = np.full((2, 2, 4), -1)
    boxes[:, 0] = [50, 50, 173, 173]
    return maps, boxes


@pytest.mark.parametrize(
    ("metric", "result"),
    # At IoU 0.3 a low threshold makes the second image right, too.
    [(MaxBoxAcc(), 2 / 3), (MaxBoxAccV2(), (1 + 2 / 3 + 2 / 3) / 3)],
)
def test_metrics_count_images(metric, result):
    maps, boxes = two_images()
    metric.update_state(boxes, maps)
    metric.update_state(boxes[:1], maps[:1, None])
    assert metric.figures()["at_50"] == pytest.approx(200 / 3)
    assert float(metric.result()) == pytest.approx(result)
    assert metric.curves()[1].max() == pytest.approx(2 / 3)


def test_several_processes_count_what_one_does():
    maps, boxes = two_images()
    alone = choe2020.count_box_hits(maps, boxes)
    np.testing.assert_array_equal(choe2020.count_box_hits(maps, boxes, workers=2), alone)


def test_an_image_without_boxes_is_never_right_and_does_not_count():
    assert not choe2020.box_hits(np.eye(3), np.full((1, 4), -1)).any()
    maps, boxes = two_images()
    boxes[1] = -1
    metric = MaxBoxAcc()
    metric.update_state(boxes, maps)
    assert (float(metric.result()), int(metric.images)) == (1.0, 1)


@pytest.mark.parametrize("make", [MaxBoxAcc, MaxBoxAccV2])
def test_the_outputs_of_a_localizer_count_as_the_maps_of_the_true_class_do(make):
    maps, _ = two_images()
    sizes_wh, boxes_xyxy = (
        np.array([[448, 500], [300, 123]]),
        np.array([[[75, 101, 401, 488]], [[10, 20, 151, 99]]]),
    )
    inclusive = [
        choe2020.inclusive_boxes(boxes, size_wh[::-1])
        for boxes, size_wh in zip(boxes_xyxy, sizes_wh, strict=True)
    ]
    alone = make()
    alone.update_state(np.array(inclusive), maps)
    boxes = (boxes_xyxy / np.tile(sizes_wh, 2)[:, None])[..., [1, 0, 3, 2]].astype("float32")
    padded = np.concatenate([np.zeros_like(boxes), boxes], axis=1)
    truth = {"classes": np.array([[-1, 6], [-1, 2]]), "boxes": padded, "sizes_wh": sizes_wh}
    others = np.zeros_like(maps)
    found = {
        "detection_classes": np.array([[6, 1], [1, 2]]),
        "class_activation_maps": np.stack([[maps[0], others[0]], [others[1], maps[1]]]),
    }
    metric = make()
    metric.update_state(truth, found)
    np.testing.assert_array_equal(metric.hits, alone.hits)
    found["detection_classes"][:] = 9  # now no row is that of the true class
    metric.reset_state()
    metric.update_state(truth, found)
    assert (int(metric.images), float(metric.result())) == (2, 0.0)


def test_boxes_in_pixels_are_those_of_the_file_again():
    """The protocol truncates, so that 14.9999 in place of 15 would be another pixel."""
    rng = np.random.default_rng(0)
    for size_wh in rng.integers(50, 4000, (200, 2)):
        pixels = np.sort(rng.integers(0, size_wh + 1, (1, 2, 2)), axis=1).reshape(1, 4)
        parts = (pixels / np.tile(size_wh, 2))[:, [1, 0, 3, 2]].astype("float32")
        np.testing.assert_array_equal(boxes_in_pixels(parts, size_wh), pixels)
    np.testing.assert_allclose(
        boxes_in_pixels(np.array([[0.0, 0.0, 0.505, 0.25]]), (10, 100)), [[0, 0, 2.5, 50.5]]
    )


@pytest.mark.parametrize("make", [MaxBoxAcc, MaxBoxAccV2])
def test_metrics_work_traced_merged_and_from_their_configuration(make):
    maps, boxes = two_images()
    eager, traced = make(), make.from_config(make().get_config())
    eager.update_state(boxes, maps)
    update = tf.function(traced.update_state)
    update(boxes[:1], maps[:1])
    part = make()
    part.update_state(boxes[1:], maps[1:])
    traced.merge_state([part])
    np.testing.assert_array_equal(traced.hits, eager.hits)
    assert int(traced.images) == 2
    traced.reset_state()
    assert float(traced.result()) == 0.0


def test_metrics_of_different_kinds_do_not_merge():
    with pytest.raises(ValueError, match="Only metrics of the same class and configuration"):
        MaxBoxAcc().merge_state([MaxBoxAccV2()])


def test_metrics_in_evaluate():
    maps, boxes = two_images()
    model = keras.Sequential([keras.Input((4, 4)), keras.layers.Activation("linear")])
    model.compile(loss=lambda _, maps: maps, metrics=[MaxBoxAcc()])
    figures = model.evaluate(maps, boxes, batch_size=1, verbose=0, return_dict=True)
    assert figures["max_box_acc"] == pytest.approx(0.5)


def test_px_ap_leaves_ignored_pixels_out():
    metric = PxAP(map_size=(1, 3))
    metric.update_state([[[1, 0, 255]]], [[[1.0, 0.0, 2.0]]])
    assert float(metric.result()) == 1.0
    metric.reset_state()
    assert float(metric.result()) == 0.0
    rows = {"detection_classes": [[4, 6]], "class_activation_maps": [[[[0.0, 1.0, 1.0]], [[1.0, 0.0, 2.0]]]]}
    metric.update_state({"labels": [6], "masks": [[[1, 0, 255]]]}, rows)
    assert float(metric.result()) == 1.0


@pytest.fixture(scope="module")
def golden():
    golden = json.loads((GOLDENS / "golden.json").read_text())
    arrays = np.load(GOLDENS / "maps.npz")
    count = golden["expected"]["images"]
    maps, masks = ([arrays[f"{name}_{index:03d}"] for index in range(count)] for name in ("map", "mask"))
    return golden["expected"], maps, masks, golden["boxes_xyxy_224"]


def test_boxes_equal_the_reference_to_the_last_digit(golden):
    expected, maps, _, boxes = golden
    counts = choe2020.count_box_hits(maps, boxes)
    for hits, name in zip(counts, ("MaxBoxAcc_contours_largest", "MaxBoxAccV2"), strict=True):
        curve = (hits[1] / len(maps) * 100)[::100].tolist()
        assert {**choe2020.box_figures(hits, len(maps)), "curve50_every_100": curve} == expected[name]


def test_metric_equals_the_reference(golden):
    expected, maps, _, boxes = golden
    metric = MaxBoxAccV2()
    for activation_map, truth in zip(maps, boxes, strict=True):
        metric.update_state(np.array([truth]), activation_map[None])
    assert metric.figures()["mean"] == expected["MaxBoxAccV2"]["mean"]
    assert metric.figures()["best_threshold"] == expected["MaxBoxAccV2"]["best_threshold"]


def test_masks_equal_the_reference_to_the_last_digit(golden):
    expected, maps, masks, _ = golden
    histograms = sum(map(choe2020.score_histograms, maps, masks))
    assert choe2020.pixel_average_precision(histograms) == expected["PxAP"]
