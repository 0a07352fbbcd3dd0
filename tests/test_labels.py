"""The names of the classes, built in and from files."""

import hashlib

import keras
import pytest

import keras_cam
from keras_cam.models.labels import (
    LABEL_LISTS,
    class_names,
    imagenet_labels,
    label_list,
    labels_in_file,
    labels_of,
    read_labels,
)


def test_imagenet_names_are_a_thousand_different_ones():
    names = imagenet_labels()
    assert len(names) == len({name.lower() for name in names}) == 1000
    assert all(name == name.strip() and name for name in names)


def test_imagenet_names_are_in_the_usual_order():
    names = imagenet_labels()
    assert {i: names[i] for i in (0, 134, 517, 638, 639, 999)} == {
        0: "tench",
        134: "crane (bird)",
        517: "crane (machine)",
        638: "maillot",
        639: "tank suit",
        999: "toilet tissue",
    }


def test_the_names_of_places365_are_those_of_the_published_category_file():
    names = label_list("places365")
    # The file has a line for each class: the folder of its images and its number.
    published = "\n".join(f"/{name[0]}/{name} {index}" for index, name in enumerate(names))
    assert hashlib.md5(published.encode()).hexdigest() == "06c963b85866bd0649f97cb43dd16673"


def test_the_names_of_places205_are_in_the_order_of_their_folders():
    names = label_list("places205")
    assert len(names) == len(set(names)) == 205
    # In each letter's folder, scenes come first, and then the folders of scenes with several kinds.
    assert list(names) == sorted(names, key=lambda name: (name[0], "/" in name, name))
    assert {index: names[index] for index in (0, 13, 29, 204)} == {
        0: "abbey",
        13: "apartment_building/outdoor",
        29: "bowling_alley",
        204: "yard",
    }


@pytest.mark.parametrize("name", LABEL_LISTS)
def test_a_list_that_comes_with_the_package_is_read_by_its_name(name):
    assert read_labels(name) == label_list(name)


def test_an_unknown_list_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"one of \('imagenet', 'places205', 'places365'\)\..*name='places'"):
        label_list("places")


def test_other_numbers_of_classes_get_numbered_names():
    assert class_names(3) == ("class 0", "class 1", "class 2")
    with pytest.raises(ValueError, match=r"`classes` must be at least 1\. Received: classes=0"):
        class_names(0)


def test_a_label_file_may_come_from_any_editor(tmp_path):
    file = tmp_path / "labels.txt"
    file.write_bytes("\ufeffKatze\r\nHündin \r\n\r\n".encode())
    assert read_labels(file) == ("Katze", "Hündin")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"cat\n\ndog\n", "line 2 is blank"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"cat\ndog\ncat \n", ".*Received: 'cat' for the classes 0, 2"),
        ("cat\nhot\u2028dog\n".encode(), r".*Received: 'hot\\u2028dog' for class 1"),
        (b"cat\nhot\x0cdog\n", r".*Received: 'hot\\x0cdog' for class 1"),
    ],
)
def test_an_unusable_label_file_is_named_with_the_reason(tmp_path, content, reason):
    file = tmp_path / "labels.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"one class name a line.*labels\.txt' \({reason}\)"):
        read_labels(file)


def test_labels_travel_with_the_model(tmp_path):
    model = keras_cam.build_model(
        "alexnet_gap",
        classes=2,
        input_shape=(67, 67, 3),
        head_filters=8,
        classifier_activation="softmax",
        labels=["cat", "dog"],
    )
    localizer = keras_cam.build_localizer(keras.models.clone_model(model))
    localizer.save(tmp_path / "localizer.keras")
    for carrier in (model, localizer, keras.models.load_model(tmp_path / "localizer.keras")):
        assert labels_of(carrier) == ("cat", "dog")


def test_a_localizer_can_be_given_labels_and_others_have_none():
    model = keras_cam.build_model("alexnet_gap", classes=2, input_shape=(67, 67, 3), head_filters=8)
    assert labels_of(keras_cam.build_localizer(model)) is None
    assert labels_of(keras_cam.build_localizer(model, labels=["cat", "dog"])) == ("cat", "dog")
    with pytest.raises(ValueError, match=r"`labels` must name each of the 2 classes\. Received: 3 labels"):
        keras_cam.build_localizer(model, labels=["cat", "dog", "bird"])


@pytest.mark.parametrize("label", ["a\nx", "a\rx", "a\x0cx", "a\x85x", "a\u2028x", "", " ", "dog", "dog ", 7])
def test_labels_are_different_names_of_one_line_wherever_they_are_given(label):
    labels = [label, "dog"]
    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images))
    model = keras.Model(images, keras.layers.Dense(2)(pooled))
    for use in (
        lambda: keras_cam.build_localizer(model, labels=labels),
        lambda: class_names(2, labels),
        lambda: labels_in_file("cam.onnx", labels, 2),
    ):
        with pytest.raises(ValueError, match="`labels` must be different names, each of one line"):
            use()


def test_the_names_in_a_file_are_as_many_as_its_classes():
    assert labels_in_file("cam.tflite", None, 2) is None
    with pytest.raises(ValueError, match=r"cam\.tflite has names .* the 2 classes of the model.*: 3 names"):
        labels_in_file("cam.tflite", ["a", "b", "c"], 2)
