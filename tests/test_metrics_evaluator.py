"""All figures from batches: what one call makes of them, parts merged, sizes, intervals."""

import numpy as np
import pytest

from keras_cam.metrics import LocalizationEvaluator, wilson_interval
from keras_cam.metrics.choe2020 import box_hits, inclusive_boxes
from keras_cam.metrics.zhou2016 import zhou2016

IMAGE_SIZE = (100, 200)


def batch(seed, images=3):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(images, 7, 7)).astype("float32")
    known = np.concatenate([zhou2016(activation_map, IMAGE_SIZE) for activation_map in maps])
    return {
        "maps": maps,
        "known_boxes_xyxy": known,
        "class_ids": np.tile([4, 2, 9], (images, 1)),
        "boxes_xyxy": np.repeat(known[:, None], 3, axis=1),
        "labels": rng.choice([4, 2, 0], images),
        "boxes_true_xyxy": [known[index : index + 1] for index in range(images - 1)]
        + [np.eye(4) + [0, 0, 8, 8]],
        "masks": rng.choice([0, 1, 255], (images, 224, 224)),
    }


def test_every_figure_of_one_batch():
    evaluator = LocalizationEvaluator(IMAGE_SIZE, top_k=(1, 2))
    data = batch(0)
    data["labels"] = np.array([4, 2, 4])
    evaluator.update(**data)
    figures = evaluator.result()
    assert figures["classification_error_top1"] == pytest.approx(1 / 3)
    assert figures["classification_error_top2"] == 0.0
    assert figures["localization_error_top1"] == pytest.approx(2 / 3)
    assert figures["localization_error_top2"] == pytest.approx(1 / 3)
    assert figures["gt_known_localization"] == pytest.approx(2 / 3)
    assert {"max_box_acc", "max_box_acc_v2", "px_ap", "pointing_game", "mean_box_iou"} < set(figures)
    hits = sum(
        box_hits(activation_map, inclusive_boxes(boxes, IMAGE_SIZE)).astype(int)
        for activation_map, boxes in zip(data["maps"], data["boxes_true_xyxy"], strict=True)
    )
    np.testing.assert_array_equal(evaluator.metrics["max_box_acc_v2"].hits, hits[1])


def test_parts_add_up_and_memory_does_not_grow():
    whole, one, other = (LocalizationEvaluator(IMAGE_SIZE) for _ in range(3))
    whole.update(**batch(1))
    sizes = [variable.shape for metric in whole.metrics.values() for variable in metric.variables]
    whole.update(**batch(2, images=5))
    assert sizes == [variable.shape for metric in whole.metrics.values() for variable in metric.variables]
    one.update(**batch(1))
    other.update(**batch(2, images=5))
    one.merge([other])
    assert one.result() == pytest.approx(whole.result(), abs=1e-12)
    assert one.images == whole.images == 8
    assert one.intervals() == whole.intervals()


def test_images_of_several_sizes_are_the_same_at_one_size():
    one_size, several = LocalizationEvaluator(IMAGE_SIZE), LocalizationEvaluator(IMAGE_SIZE)
    data = batch(3)
    one_size.update(**data)
    # Doubling an image and its boxes moves the last inclusive pixel, so choe2020 may see another box.
    for name in ("known_boxes_xyxy", "boxes_xyxy"):
        data[name] = data[name] * 2
    data["boxes_true_xyxy"] = [boxes * 2 for boxes in data["boxes_true_xyxy"]]
    several.update(**data, image_sizes_hw=np.full((3, 2), IMAGE_SIZE) * 2)
    for name in ("localization_error_top5", "mean_box_iou", "pointing_game", "px_ap"):
        assert several.result()[name] == pytest.approx(one_size.result()[name], abs=1e-6)


def test_without_masks_and_thresholds_there_are_no_figures_of_them():
    evaluator = LocalizationEvaluator(IMAGE_SIZE, all_thresholds=False)
    data = batch(4)
    del data["masks"]
    evaluator.update(**data)
    assert not {"px_ap", "max_box_acc", "max_box_acc_v2"} & set(evaluator.result())


def test_intervals_are_those_of_rates():
    evaluator = LocalizationEvaluator(IMAGE_SIZE)
    evaluator.update(**batch(5))
    assert {"mean_box_iou", "px_ap", "max_box_acc_v2"}.isdisjoint(evaluator.intervals())
    assert evaluator.intervals()["gt_known_localization"] == wilson_interval(2, 3)


def test_wilson_by_hand():
    # z = 1.959964: centre (k + z^2 / 2) / (n + z^2), for 0 of n from 0 to z^2 / (n + z^2).
    low, high = wilson_interval(0, 10)
    assert low == pytest.approx(0, abs=1e-12)
    assert high == pytest.approx(3.841459 / 13.841459, abs=1e-6)
    with pytest.raises(ValueError, match=r"Received: successes=3, total=2"):
        wilson_interval(3, 2)


def test_batches_that_do_not_fit_are_refused():
    evaluator = LocalizationEvaluator(IMAGE_SIZE)
    with pytest.raises(ValueError, match=r"There are 3 maps\. Received: labels of shape \(2,\)"):
        evaluator.update(**{**batch(6), "labels": np.array([1, 2])})
    with pytest.raises(ValueError, match=r"at least one box\. Received: none for images \[1\]"):
        evaluator.update(**{**batch(6), "boxes_true_xyxy": [np.eye(4), [], np.eye(4)]})
    with pytest.raises(ValueError, match=r"There are 3 maps\. Received: 2 rows of detection_classes"):
        evaluator.update(**{**batch(6), "class_ids": np.zeros((2, 3), int)})
