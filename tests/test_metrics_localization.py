"""Localization error and its relatives, the pointing game: by hand, traced, merged, in `model.evaluate`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cam
from keras_cam.metrics import (
    ClassificationError,
    GTKnownLocalization,
    LocalizationError,
    MeanBoxIoU,
    PointingGame,
    box_ious,
    pack_boxes,
)
from keras_cam.metrics.pointing_game import highest_point_xy, is_close

# Four images, two rows each: right at once; right class second; right class in a wrong box; wrong class. The
# first has two ground-truth boxes, of which the second is found, the others one and padding.
TRUTH = {
    "classes": np.array([[5, 5], [5, -1], [5, -1], [5, -1]]),
    "boxes": np.array(
        [[[50, 50, 60, 60], [0, 0, 10, 10]], *[[[0, 0, 10, 10], [0, 0, 0, 0]]] * 3], dtype="float32"
    ),
}
FOUND = {
    "detection_classes": np.array([[5, 1], [1, 5], [5, 2], [1, 2]]),
    "detection_boxes": np.array(
        [[[0, 0, 10, 5]] * 2, [[0, 0, 10, 10]] * 2, [[0, 0, 10, 4.9]] * 2, [[0, 0, 10, 10]] * 2], "float32"
    ),
}


def packed(boxes):
    return pack_boxes(*boxes.values())


def test_iou_by_hand():
    ious = box_ious(np.array([[0, 0, 4, 4]]), np.array([[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4]]))
    np.testing.assert_allclose(ious, [[1, 4 / 28, 0]], rtol=1e-6)
    yxyx = box_ious(np.array([[1, 0, 3, 4]]), np.array([[0, 1, 4, 3]]))
    np.testing.assert_allclose(yxyx, [[4 / 12]], rtol=1e-6)


def test_an_empty_or_inverted_box_overlaps_with_nothing():
    assert box_ious([[0, 0, 0, 0], [5, 5, 1, 1]], [[0, 0, 0, 0], [0, 0, 9, 9]]).numpy().max() == 0


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (LocalizationError(top_k=1), 3 / 4),
        (LocalizationError(top_k=5), 2 / 4),
        (LocalizationError(top_k=1, iou_threshold=0.49), 2 / 4),
        (ClassificationError(top_k=1), 2 / 4),
        (ClassificationError(top_k=2), 1 / 4),
    ],
)
def test_errors_by_hand(metric, expected):
    metric.update_state(TRUTH, FOUND)
    assert float(metric.result()) == expected
    metric.reset_state()
    metric.update_state(packed(TRUTH), packed(FOUND))
    assert float(metric.result()) == expected


def test_names_tell_the_errors_apart():
    assert LocalizationError(top_k=1).name == "localization_error_top1"
    assert ClassificationError().name == "classification_error_top5"
    assert LocalizationError(name="mine").name == "mine"


@pytest.mark.parametrize(
    "metric",
    [LocalizationError(), ClassificationError(), MeanBoxIoU(), GTKnownLocalization(), PointingGame()],
)
def test_an_image_without_a_box_does_not_count(metric):
    truth = {"classes": [[-1], [4]], "boxes": [[[0, 0, 0, 0]], [[0.0, 0.0, 1.0, 1.0]]]}
    found = {
        "detection_classes": [[-1], [4]],  # padding is not a class, even if a model predicted it
        "detection_boxes": [[[0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0, 1.0]]],
        "class_activation_maps": np.ones((2, 1, 3, 3)),
    }
    values = metric.per_image(truth, found).numpy()
    assert np.isnan(values).tolist() == [True, False]
    metric.update_state(truth, found)
    assert float(metric.result()) == values[1] == (0 if "error" in metric.name else 1)


def test_a_label_narrows_the_classes_that_are_right():
    both = {"classes": [[3, 5]], "boxes": [[[0, 0, 4, 4], [0, 0, 8, 8]]]}
    found = {"detection_classes": [[5]], "detection_boxes": [[[0, 0, 8, 8]]]}
    for metric in (ClassificationError(), LocalizationError()):
        assert metric.per_image(both, found).numpy() == [0]
        assert metric.per_image({**both, "labels": [5]}, found).numpy() == [0]
        assert metric.per_image({**both, "labels": [3]}, found).numpy() == [1]
    without_its_box = {**both, "labels": [9]}
    assert ClassificationError().per_image(without_its_box, found).numpy() == [1]
    assert np.isnan(LocalizationError().per_image(without_its_box, found).numpy()).all()
    # Metrics of the known class take the class of the first box, if there is no label.
    assert GTKnownLocalization().per_image(both, found).numpy() == [0]
    assert GTKnownLocalization().per_image({**both, "labels": [5]}, found).numpy() == [1]


def test_images_with_one_object_and_with_several_are_told_apart():
    one, empty = [0, 0, 10, 10], [0, 0, 0, 0]
    truth = [[one, empty], [one, one], [one, [20, 20, 30, 30]], [empty, empty]]
    found = [one, one, [0, 0, 30, 30], one]
    expected = {"one": [1, None, None, None], "several": [None, 1, 0, None], "any": [1, 1, 0, None]}
    for objects, values in expected.items():
        metric = GTKnownLocalization(objects=objects)
        assert [
            None if np.isnan(value) else value for value in metric.per_image(truth, found).numpy()
        ] == values
    assert GTKnownLocalization(objects="several").name == "several_objects_gt_known"
    # A second box of another class is not a second object of the true one.
    two_classes = {"labels": [3], "classes": [[3, 5]], "boxes": [[one, one]]}
    assert GTKnownLocalization(objects="one").per_image(two_classes, [one]).numpy() == [1]
    with pytest.raises(ValueError, match=r"`objects` must be one of \['any', 'one', 'several'\]"):
        GTKnownLocalization(objects="two")


def test_classes_count_and_not_their_rows():
    truth = {"classes": [[5]], "boxes": [[[0, 0, 10, 10]]]}
    # Two rows of class 1, then two of class 5, of which the second is right.
    found = {
        "detection_classes": [[1, 1, 5, 5]],
        "detection_boxes": [[[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 1, 1], [0, 0, 10, 10]]],
    }
    errors = [LocalizationError(top_k=k).per_image(truth, found).numpy() for k in (1, 2)]
    assert errors == [1, 0]
    assert ClassificationError(top_k=1).per_image(truth, found).numpy() == [1]
    # Interleaved rows: the third row belongs to the first class.
    found["detection_classes"] = [[5, 1, 5, 1]]
    found["detection_boxes"] = [[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 10, 10], [0, 0, 1, 1]]]
    assert LocalizationError(top_k=1).per_image(truth, found).numpy() == [0]


def test_scores_tell_which_class_is_first():
    """A localizer moves rows without a box behind the others, whatever their score is."""
    truth = {"classes": [[5]], "boxes": [[[0, 0, 10, 10]]]}
    found = {
        "detection_classes": [[5, 1]],
        "detection_boxes": [[[0, 0, 10, 10], [0, 0, 0, 0]]],
        "detection_scores": [[0.3, 0.7]],
    }
    errors = [LocalizationError(top_k=k).per_image(truth, found).numpy() for k in (1, 2)]
    assert errors == [1, 0]


def test_the_known_class_has_its_own_rows():
    truth = {
        "classes": [[5, 5], [2, -1]],
        "boxes": [[[0, 0, 4, 4], [4, 4, 8, 8]], [[0, 0, 4, 4], [0, 0, 0, 0]]],
    }
    found = {
        "detection_classes": [[1, 5, 5], [1, 5, 7]],  # the second image has no row of its class
        "detection_boxes": [[[4, 4, 8, 8], [0, 0, 4, 2], [0, 0, 4, 3]], [[0, 0, 4, 4]] * 3],
    }
    np.testing.assert_allclose(MeanBoxIoU().per_image(truth, found), [0.75, 0])
    assert GTKnownLocalization().per_image(truth, found).numpy().tolist() == [1, 0]
    packed_boxes = [packed(boxes) for boxes in (truth, found)]
    np.testing.assert_allclose(MeanBoxIoU().per_image(*packed_boxes), [0.75, 0])
    with pytest.raises(ValueError, match=r"need a `y_true` with classes: .* Received: .* shape \(2, 2, 4\)"):
        MeanBoxIoU().per_image(np.array(truth["boxes"]), found)


def test_pointing_game_measures_in_the_original_photo():
    maps = np.zeros((2, 2, 10, 10), "float32")
    maps[:, 1, 2, 3] = 1  # of class 5, the second row; its centre is (0.35, 0.25)
    boxes = np.array([[[0.25, 0.45, 0.5, 0.8]]] * 2)  # 0.1 to the right of it
    truth = {"classes": [[5], [5]], "boxes": boxes, "sizes_wh": [[100, 200], [300, 200]]}
    found = {"detection_classes": [[1, 5]] * 2, "class_activation_maps": maps}
    # About 10 pixels beside it in the first photo, and about 30 in the second.
    assert PointingGame().per_image(truth, found).numpy().tolist() == [1, 0]
    # Without sizes, both have 100 x 100 pixels. Refined maps come first.
    del truth["sizes_wh"]
    assert PointingGame(image_size=(100, 100)).per_image(truth, found).numpy().tolist() == [1, 1]
    found["localization_maps"] = maps[:, :, ::-1, ::-1]
    assert PointingGame(image_size=(100, 100)).per_image(truth, found).numpy().tolist() == [0, 0]
    found["detection_classes"] = [[1, 2], [1, 2]]
    assert PointingGame(tolerance=1000).per_image(truth, found).numpy().tolist() == [0, 0]


def test_boxes_of_the_known_class():
    boxes_true, boxes = TRUTH["boxes"], FOUND["detection_boxes"][:, 0]
    for metric, expected in ((GTKnownLocalization(), 3 / 4), (MeanBoxIoU(), (0.5 + 1 + 0.49 + 1) / 4)):
        metric.update_state(boxes_true, boxes)
        assert float(metric.result()) == pytest.approx(expected)
        metric.reset_state()
        metric.update_state(boxes_true[:2], boxes[:2, None], sample_weight=[0.0, 2.0])
        assert float(metric.result()) == 1.0


@pytest.mark.parametrize("make", [LocalizationError, ClassificationError])
def test_traced_merged_and_from_its_configuration(make):
    whole, part, rest = (
        make(top_k=1),
        make(top_k=1),
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(make(top_k=1))),
    )
    whole.update_state(TRUTH, FOUND)
    tf.function(part.update_state)(packed(TRUTH)[:3], packed(FOUND)[:3])
    rest.update_state(packed(TRUTH)[3:], packed(FOUND)[3:])
    part.merge_state([rest])
    assert float(part.result()) == float(whole.result())
    with pytest.raises(ValueError, match="Only metrics of the same class and configuration can be merged"):
        whole.merge_state([make(top_k=2)])


@pytest.mark.slow
def test_a_localizer_in_evaluate():
    keras.utils.set_random_seed(0)
    classifier = keras_cam.build_model("alexnet_gap", classes=4, input_shape=(67, 67, 3), head_filters=8)
    localizer = keras_cam.build_localizer(classifier, top_k=2)
    out = localizer.output
    detector = keras.Model(
        localizer.input,
        keras.layers.Lambda(lambda x: pack_boxes(*x))([out["detection_classes"], out["detection_boxes"]]),
    )
    images = np.random.default_rng(0).integers(0, 256, (3, 67, 67, 3)).astype("float32")
    rows = localizer(images)
    # Each image's own second row is the truth.
    truth = pack_boxes(rows["detection_classes"], rows["detection_boxes"])[:, 1:2]
    detector.compile(loss=lambda _, y: y, metrics=[LocalizationError(top_k=1), LocalizationError(top_k=2)])
    figures = detector.evaluate(images, truth, batch_size=2, verbose=0, return_dict=True)
    expected = LocalizationError(top_k=2)
    expected.update_state(truth, rows)
    assert figures["localization_error_top2"] == float(expected.result())
    assert figures["localization_error_top1"] == 1.0


def test_pointing_game_measures_from_the_pixel_to_the_box():
    maps = np.zeros((1, 10, 10), "float32")
    maps[0, 2, 3] = 1  # its centre is (3.5, 2.5)
    beside = np.array([[[6.5, 6.5, 9, 9], [0, 0, 0, 0]]])  # 3 to the right and 4 below: 5
    for tolerance, expected in ((5.0, 1.0), (4.9, 0.0), (0.0, 0.0)):
        metric = PointingGame(image_size=(10, 10), tolerance=tolerance)
        metric.update_state(beside, maps)
        assert float(metric.result()) == expected
        assert is_close([highest_point_xy(maps[0], (10, 10))], beside, tolerance).numpy() == [bool(expected)]
    inside = PointingGame(image_size=(10, 10), tolerance=0)
    inside.update_state([[[3, 2, 4, 3]]], maps[:, None])
    assert float(inside.result()) == 1.0
    assert PointingGame.from_config(inside.get_config()).get_config() == inside.get_config()


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"`top_k` must be a positive integer\. Received: top_k=0"):
        LocalizationError(top_k=0)
    with pytest.raises(ValueError, match=r"`iou_threshold` must be in \[0, 1\]"):
        GTKnownLocalization(iou_threshold=50)
    with pytest.raises(ValueError, match="`tolerance` must not be negative"):
        PointingGame(tolerance=-1)
    with pytest.raises(ValueError, match=r"The dict needs \['boxes'\]\. Received: \['classes'\]"):
        LocalizationError().update_state({"classes": [[1]]}, FOUND)
    with pytest.raises(ValueError, match=r"must be \(B, N, 5\), or a dict .* Received: shape \(1, 4\)"):
        LocalizationError().update_state(TRUTH, np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"one map an image: .* Received: shape \(1, 5, 7, 7\)"):
        PointingGame().update_state(TRUTH["boxes"], np.zeros((1, 5, 7, 7)))
