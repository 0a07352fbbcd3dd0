"""Classes of a data set and of a model are compared by name where both are known, else by number."""

import numpy as np
import pytest

from keras_cam.data import AnnotatedImage, AnnotatedImages, match_classes
from keras_cam.models.labels import imagenet_labels


def test_classes_in_another_order_are_found_by_name():
    match = match_classes(["dog", "cat"], 3, ["bird", "cat", "dog"])
    assert match.numbers == (2, 1)
    assert match.names == ("bird", "cat", "dog")
    assert match.remark == (
        "Classes are matched by name: 'dog', class 0 of the data, is class 2 of the model."
    )
    box_labels = np.array([1, 0, 1])
    image = AnnotatedImage("x", "x.jpg", 1, (1, 0), np.zeros((3, 4), np.float32), box_labels)
    [moved] = match.apply(AnnotatedImages("pets", ("dog", "cat"), (image,)))
    assert (moved.label, moved.labels, moved.box_labels.tolist()) == (1, (1, 2), [1, 2, 1])


def test_matching_a_second_time_changes_nothing():
    match = match_classes(["dog", "cat"], 2, ["cat", "dog"])
    again = match_classes(match.names, 2, ["cat", "dog"])
    assert again.numbers == (0, 1)
    assert not again.remark


@pytest.mark.parametrize(
    ("data", "labels", "numbers"),
    [
        (["american_bulldog", "Abyssinian"], ["Abyssinian", "American bulldog"], (1, 0)),
        (["golf ball", "tench, Tinca tinca"], ["tench", "goldfish", "golf-ball"], (2, 0)),
        (["crane (bird)"], ["pump", "crane"], (1,)),
        (["1", "0"], ["0", "1"], (1, 0)),  # numbers are names if both sides have the same ones
        (["2", "0"], ["cat", "dog", "bird"], (2, 0)),
        (["n02", "n01"], ["n01", "n02"], (1, 0)),
        (["n01440764", "n01443537"], ["tench", "goldfish"], (0, 1)),
    ],
)
def test_names_are_equal_in_any_spelling_and_numbers_are_numbers(data, labels, numbers):
    assert match_classes(data, len(labels), labels).numbers == numbers


@pytest.mark.parametrize("data", [["0", "2"], ["class 0", "class 2"]])
def test_numbers_of_a_model_without_names_may_be_few(data):
    match = match_classes(data, 3)
    assert match.numbers == (0, 2)
    assert not match.remark


@pytest.mark.parametrize(
    ("data", "classes", "labels", "reason"),
    [
        (
            ["cat", "wolf", "dog"],
            3,
            ["cat", "dog", "bird"],
            "1 of these are not one class of it: 'wolf'",
        ),
        (["cat", "Cat"], 2, ["cat", "dog"], "'cat', 'Cat'"),
        (["crane"], 2, ["crane (bird)", "crane (machine)"], "not one class of it: 'crane'"),
        (["cat", "dog"], 3, None, "data of 2 classes, 'cat', 'dog'; and a model of 3"),
        (["cat", "dog"], 1, None, "and a model of 1"),
        (["0", "7"], 3, None, "data of 2 classes, '0', '7'"),
        (["n01440764"], 2, ["tench", "goldfish"], "data of 1 classes, 'n01440764'"),
        (["1", "10", "2"], 3, ["cat", "dog", "bird"], "their numbers as names"),
        (["red", "green", "blue"], 1000, None, "3 of these are not one class"),
    ],
)
def test_classes_that_cannot_be_compared_are_refused(data, classes, labels, reason):
    with pytest.raises(ValueError, match=reason):
        match_classes(data, classes, labels)


def test_a_model_without_names_is_compared_by_number_and_that_is_said():
    match = match_classes(["cat", "dog"], 2)
    assert match.numbers == (0, 1)
    assert match.names == ("cat", "dog")
    assert match.remark == "The model does not name its classes, so that they are compared by number."


def test_a_thousand_classes_are_imagenets_if_their_names_say_so():
    labels = imagenet_labels()
    wordnet = [f"{name}, Latin name {place}" for place, name in enumerate(labels)]
    assert match_classes(wordnet, 1000).numbers == tuple(range(1000))
    assert match_classes(["Egyptian_cat", "reel"], 1000).numbers == (285, 758)
    assert match_classes([f"my {place}" for place in range(1000)], 1000).names[7] == "my 7"
    assert match_classes([str(place) for place in range(1000)], 1000, labels).names == labels
