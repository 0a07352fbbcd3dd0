"""From the arrays of a batch to records in pixels of the photo."""

import json

import numpy as np
import pytest

from keras_cam.inference.records import Detection, FailedImage, Localization, localizations, to_dataframe


def outputs():
    """Two images, two classes; the second image has one box only, which comes before the likelier class."""
    return {
        "detection_boxes": np.array(
            [[[0, 0, 1, 1], [0.25, 0.5, 0.75, 0.6666667]], [[0.5, 0, 1.0000001, 0.5], [0, 0, 0, 0]]],
            np.float32,
        ),
        "detection_classes": np.array([[1, 0], [2, 1]], np.int32),
        "detection_scores": np.array([[0.75, 0.125], [0.1, 0.9]], np.float32),
        "num_detections": np.array([2, 1], np.int32),
        "class_activation_maps": np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2),
    }


def records(labels=("ant", "bee", "cat")):
    return localizations(outputs(), ["a.jpg", "b.jpg"], [(400, 200), (10, 30)], labels, "tiny")


def test_boxes_are_pixels_of_the_photo():
    first, second = records()[0].detections
    assert first.box_xyxy == (0, 0, 400, 200)
    assert second.box_xyxy == pytest.approx((200, 50, 266.66668, 150))


def test_the_likeliest_class_comes_first_even_without_a_box():
    bee, cat = records()[1].detections
    assert (bee.label, bee.box_xyxy) == ("bee", None)
    assert (cat.label, cat.box_xyxy) == ("cat", (0, 15, 5, 30))
    np.testing.assert_array_equal(bee.activation_map, [[12, 13], [14, 15]])
    np.testing.assert_array_equal(cat.activation_map, [[8, 9], [10, 11]])


def test_json_has_exactly_the_documented_fields():
    assert json.loads(json.dumps(records()[1].to_dict())) == {
        "image": "b.jpg",
        "width": 10,
        "height": 30,
        "model": "tiny",
        "map_kind": None,
        "map_method": None,
        "runtime": "",
        "detections": [
            {"class_id": 1, "label": "bee", "score": 0.9, "box_xyxy": None},
            {"class_id": 2, "label": "cat", "score": 0.1, "box_xyxy": [0.0, 15.0, 5.0, 30.0]},
        ],
    }
    assert records()[0].to_dict()["detections"][1]["box_xyxy"] == [200.0, 50.0, 266.67, 150.0]


def test_labels_may_be_missing_but_not_too_few():
    assert [detection.label for detection in records(None)[0].detections] == ["class 1", "class 0"]
    with pytest.raises(
        ValueError, match=r"`labels` must name every class.*2 labels and a detection of class 2"
    ):
        records(("ant", "bee"))


def test_every_image_needs_a_name_and_a_size():
    with pytest.raises(ValueError, match=r"each of the 2 images.*len\(images\)=1, len\(sizes_wh\)=2"):
        localizations(outputs(), ["a.jpg"], [(1, 1), (1, 1)])


def test_records_become_a_table():
    pandas = pytest.importorskip("pandas")
    cat = Detection(281, "tabby", 0.75, (1.0, 2.0, 30.5, 40.0), np.zeros((7, 7), np.float32))
    dog = Detection(1, "dog", 0.25, None, np.zeros((7, 7), np.float32))
    table = to_dataframe([Localization("a.jpg", 64, 48, "m", (cat, dog)), FailedImage("b.jpg", "empty")])
    assert table["image"].tolist() == ["a.jpg", "a.jpg", "b.jpg"]
    assert table["rank"].tolist()[:2] == [1, 2]
    assert table.loc[0, ["xmin", "ymin", "xmax", "ymax"]].tolist() == [1.0, 2.0, 30.5, 40.0]
    assert table["xmin"].isna().tolist() == [False, True, True]
    assert table["error"].isna().tolist() == [True, True, False]
    assert table["width"].dtype == pandas.Int64Dtype()
    assert to_dataframe([]).columns.tolist() == table.columns.tolist()
