"""What a localizer returns, in numbers one can do by hand.

The classifier of most tests knows three colours: the map of class 0, 1, 2 is the red, green, blue channel of
the picture itself, so a test can draw the map it wants.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_cam
from keras_cam import build_localizer, load_localizer

RED, GREEN, BLUE = range(3)
KEYS = {
    "detection_boxes": "float32",
    "detection_classes": "int32",
    "detection_scores": "float32",
    "num_detections": "int32",
    "class_activation_maps": "float32",
}


def colour_classifier(shape=(8, 8, 3), kernel=None, activation=None):
    images = keras.Input(shape)
    pooled = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(images))
    kernel = np.eye(3) if kernel is None else np.asarray(kernel, "float32")
    dense = layers.Dense(kernel.shape[1], activation=activation)
    model = keras.Model(images, dense(pooled))
    dense.set_weights([kernel, np.zeros(kernel.shape[1])])
    return model


def canvas(count=1, height=8, width=8):
    return np.zeros((count, height, width, 3), "float32")


def red_square():
    """Red in rows 2 and 3 and columns 4 to 7 of 8x8; a bit of blue everywhere; no green."""
    images = canvas()
    images[0, 2:4, 4:8, RED] = 255
    images[..., BLUE] = 51
    return images


# At 20 % of the maximum the box ends 0.8 of a cell beyond the centres of the outermost positions, or at the
# border of the image: rows 2.5 - 0.8 to 3.5 + 0.8, columns 4.5 - 0.8 to 8, of 8.
RED_BOX = [1.7 / 8, 3.7 / 8, 4.3 / 8, 1.0]
TIGHT = 1 - 100 / 255  # the same at 100/255 of the maximum
TIGHT_RED_BOX = [(2.5 - TIGHT) / 8, (4.5 - TIGHT) / 8, (3.5 + TIGHT) / 8, 1.0]
RED_LOGIT, GREEN_LOGIT, BLUE_LOGIT = 8 / 64, 0.0, 0.2


def as_arrays(rows):
    return {key: np.asarray(value) for key, value in rows.items()}


def assert_same_rows(ours, theirs, atol=1e-6):
    assert set(ours) == set(theirs) == set(KEYS)
    for key in KEYS:
        np.testing.assert_allclose(ours[key], theirs[key], atol=atol, err_msg=key)


# One image, by hand.


def test_a_red_square_is_found_where_it_is():
    rows = as_arrays(build_localizer(colour_classifier())(red_square()))
    assert rows["num_detections"].tolist() == [1]
    # Blue has the highest logit but a constant map, so no box, so a place behind the red square.
    assert rows["detection_classes"].tolist() == [[RED, BLUE, GREEN]]
    np.testing.assert_allclose(rows["detection_boxes"], [[RED_BOX, [0] * 4, [0] * 4]], atol=1e-6)
    odds = np.exp([RED_LOGIT, BLUE_LOGIT, GREEN_LOGIT])
    np.testing.assert_allclose(rows["detection_scores"], [odds / odds.sum()], atol=1e-6)
    channels = np.moveaxis(red_square() / 255, -1, 1)[:, [RED, BLUE, GREEN]]
    np.testing.assert_allclose(rows["class_activation_maps"], channels, atol=1e-6)


def test_rows_have_the_promised_names_shapes_and_types():
    localizer = build_localizer(colour_classifier((None, None, 3)), top_k=2, name="where")
    assert localizer.name == "where"
    assert localizer.inputs[0].name == "images"
    assert {key: value.shape for key, value in localizer.output.items()} == {
        "detection_boxes": (None, 2, 4),
        "detection_classes": (None, 2),
        "detection_scores": (None, 2),
        "num_detections": (None,),
        "class_activation_maps": (None, 2, None, None),
    }
    rows = localizer(canvas(3, 5, 7))
    assert {key: value.dtype.name for key, value in rows.items()} == KEYS
    assert rows["class_activation_maps"].shape == (3, 2, 5, 7)


def test_boxes_are_parts_of_height_and_width_in_the_order_y_x():
    images = canvas(1, 4, 16)
    images[0, 1, 2:4, RED] = 255
    localizer = build_localizer(colour_classifier((4, 16, 3)), threshold=0.5)
    box = localizer(images)["detection_boxes"][0, 0]
    np.testing.assert_allclose(box, [1 / 4, 2 / 16, 2 / 4, 4 / 16], atol=1e-6)


def test_one_localizer_takes_images_of_any_size():
    localizer = build_localizer(colour_classifier((None, None, 3)), class_ids=[RED])
    for factor in (1, 2):
        images = red_square().repeat(factor, axis=1)
        box = localizer(images)["detection_boxes"][0, 0]
        y = np.array([1.7, 4.3]) if factor == 1 else np.array([3.7, 8.3]) / 2
        np.testing.assert_allclose(box, [y[0] / 8, RED_BOX[1], y[1] / 8, 1], atol=1e-6)


# Which classes.


@pytest.mark.parametrize("top_k", [None, "all", 3, 1000])
def test_all_classes_can_be_asked_for(top_k):
    rows = build_localizer(colour_classifier(), top_k)(red_square())
    assert sorted(rows["detection_classes"].numpy()[0]) == [RED, GREEN, BLUE]


def test_top_k_is_the_number_of_rows():
    images = red_square()
    images[0, 0, 0, GREEN] = 255
    rows = build_localizer(colour_classifier(), 2)(images)
    assert rows["detection_classes"].numpy().tolist() == [[RED, BLUE]]
    assert rows["class_activation_maps"].shape == (1, 2, 8, 8)


def test_equal_classes_are_in_the_order_of_their_index():
    rows = build_localizer(colour_classifier(kernel=np.ones((3, 6))), 4)(red_square())
    assert rows["detection_classes"].numpy().tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("class_ids", [[BLUE, RED], (BLUE, RED), np.array([BLUE, RED]), range(2, -1, -2)])
def test_fixed_classes_keep_the_asked_order_even_without_a_box(class_ids):
    rows = as_arrays(
        build_localizer(colour_classifier(), class_ids=class_ids)(red_square().repeat(2, axis=0))
    )
    assert rows["detection_classes"].tolist() == [[BLUE, RED]] * 2
    assert rows["num_detections"].tolist() == [1, 1]
    np.testing.assert_allclose(rows["detection_boxes"], [[[0] * 4, RED_BOX]] * 2, atol=1e-6)


def test_every_image_can_have_classes_of_its_own():
    model = colour_classifier()
    localizer = build_localizer(model, class_ids="input")
    images = np.concatenate([red_square(), red_square()[:, ::-1]])
    asked = np.array([[GREEN, RED, RED], [RED, BLUE, GREEN]])
    rows = as_arrays(localizer({"images": images, "class_ids": asked}))
    assert rows["detection_classes"].tolist() == asked.tolist()
    for image, ids, row in zip(images, asked, range(2), strict=True):
        alone = build_localizer(model, class_ids=ids)(image[None])
        assert_same_rows({key: value[row : row + 1] for key, value in rows.items()}, as_arrays(alone))
    one = localizer({"images": images, "class_ids": asked[:, :1]})
    np.testing.assert_array_equal(one["detection_classes"], [[GREEN], [RED]])


# Scores.


@pytest.mark.parametrize("ending", [None, "softmax", "sigmoid"])
@pytest.mark.parametrize("asked", [None, "softmax", "sigmoid"])
def test_scores_are_what_the_head_means_unless_asked_otherwise(ending, asked):
    localizer = build_localizer(colour_classifier(activation=ending), class_ids=range(3), activation=asked)
    logits = np.array([RED_LOGIT, GREEN_LOGIT, BLUE_LOGIT])
    softmax, sigmoid = np.exp(logits) / np.exp(logits).sum(), 1 / (1 + np.exp(-logits))
    expected = sigmoid if (asked or ending) == "sigmoid" else softmax
    np.testing.assert_allclose(localizer(red_square())["detection_scores"], [expected], atol=1e-6)


@pytest.mark.parametrize("ending", [None, "sigmoid"])
def test_a_single_unit_is_a_yes_or_no(ending):
    rows = build_localizer(colour_classifier(kernel=[[1], [0], [0]], activation=ending))(red_square())
    np.testing.assert_allclose(rows["detection_scores"], [[1 / (1 + np.exp(-RED_LOGIT))]], atol=1e-6)
    np.testing.assert_allclose(rows["detection_boxes"], [[RED_BOX]], atol=1e-6)


# Maps without a box.


def single_position_classifier():
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 8, use_bias=False)(images)
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    ("build", "images"),
    [
        (colour_classifier, canvas()),
        (colour_classifier, canvas() + 255),
        (lambda: colour_classifier(kernel=-np.eye(3)), red_square() + 1),
        (single_position_classifier, canvas()),
        (single_position_classifier, red_square() / 255),
    ],
    ids=["black image", "white image", "negative maps", "1x1 map of zero", "1x1 map"],
)
@pytest.mark.filterwarnings("ignore:The map has one cell")
@pytest.mark.parametrize("rule", ["one_threshold", "tight_and_loose"])
def test_a_map_that_shows_nothing_has_no_box_and_no_nan(build, images, rule):
    rows = as_arrays(build_localizer(build(), components="all", max_boxes=2, rule=rule)(images))
    assert rows["num_detections"].tolist() == [0]
    np.testing.assert_array_equal(rows["detection_boxes"], 0)
    for key, values in rows.items():
        assert np.isfinite(values).all(), key
    assert (rows["detection_scores"] > 0).all()


# More boxes.


def two_squares():
    """Red: one cell on the left and four on the right. Green: one cell."""
    images = canvas()
    images[0, 1, 1, RED] = 255
    images[0, 4:6, 5:7, RED] = 255
    images[0, 6, 2, GREEN] = 255
    return images


def test_all_components_are_boxed_the_largest_first():
    localizer = build_localizer(colour_classifier(), 2, components="all", max_boxes=3, threshold=0.5)
    rows = as_arrays(localizer(two_squares()))
    assert rows["num_detections"].tolist() == [3]
    assert rows["detection_classes"].tolist() == [[RED, RED, GREEN, RED, GREEN, GREEN]]
    # At half the maximum a box ends half a cell from the centre: at the edges of the cells.
    cells = [[4, 5, 6, 7], [1, 1, 2, 2], [6, 2, 7, 3], [0] * 4, [0] * 4, [0] * 4]
    np.testing.assert_allclose(rows["detection_boxes"][0], np.array(cells) / 8, atol=1e-6)
    np.testing.assert_allclose(rows["class_activation_maps"][0, :2], rows["class_activation_maps"][0, [0, 0]])


def test_specks_are_no_components():
    images = canvas()
    images[0, 0:5, 0:5, RED] = 255
    images[0, 7, 7, RED] = 255
    localizer = build_localizer(colour_classifier(), class_ids=[RED], components="all", threshold=0.5)
    assert localizer(images)["num_detections"].numpy().tolist() == [1]


def test_all_components_means_five_rows_a_class_by_default():
    localizer = build_localizer(colour_classifier(), class_ids=[GREEN, RED], components="all")
    rows = as_arrays(localizer(two_squares()))
    assert rows["detection_classes"].tolist() == [[GREEN] * 5 + [RED] * 5]
    assert rows["detection_boxes"].any(axis=-1).tolist() == [[True, *[False] * 4, True, True, *[False] * 3]]


def test_tight_and_loose_are_the_five_boxes_of_the_paper():
    images = red_square()
    images[..., GREEN] = images[..., RED][:, ::-1] * 0.9
    images[..., BLUE] = images[..., RED][:, :, ::-1] * 0.8
    rows = as_arrays(build_localizer(colour_classifier(), rule="tight_and_loose")(images))
    assert rows["num_detections"].tolist() == [5]
    assert rows["detection_classes"].tolist() == [[RED, RED, GREEN, GREEN, BLUE]]
    tight_red, loose_red, tight_green, loose_green, loose_blue = rows["detection_boxes"][0]
    np.testing.assert_allclose(tight_red, TIGHT_RED_BOX, atol=1e-6)
    np.testing.assert_allclose(loose_red, RED_BOX, atol=1e-6)
    y_min, x_min, y_max, x_max = RED_BOX
    np.testing.assert_allclose(loose_green, [1 - y_max, x_min, 1 - y_min, x_max], atol=1e-6)
    np.testing.assert_allclose(loose_blue, [y_min, 1 - x_max, y_max, 1 - x_min], atol=1e-6)
    for tight, loose in ((tight_red, loose_red), (tight_green, loose_green)):
        assert (tight[:2] >= loose[:2]).all()
        assert (tight[2:] <= loose[2:]).all()


@pytest.mark.parametrize(("classes", "ranks"), [(1, [0, 0]), (2, [0, 0, 1, 1])])
def test_tight_and_loose_with_fewer_than_three_classes(classes, ranks):
    model = colour_classifier(kernel=np.eye(3)[:, :classes] + 0.1)
    rows = build_localizer(model, rule="tight_and_loose")(red_square())
    np.testing.assert_array_equal(rows["detection_classes"], [ranks])
    assert rows["num_detections"].numpy().tolist() == [len(ranks)]


# Every way to run it gives the same.

VARIANTS = {
    "top 2": {"top_k": 2},
    "fixed": {"class_ids": [BLUE, RED]},
    "all components": {"components": "all", "max_boxes": 2, "threshold": 0.4},
    "tight and loose": {"rule": "tight_and_loose"},
}


@pytest.mark.parametrize(
    "variant",
    [
        "top 2",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("tight and loose", "fixed", "all components")
        ),
    ],
)
def test_calling_predicting_compiling_and_reloading_give_the_same(variant, photos, tmp_path):
    localizer = build_localizer(colour_classifier((12, 16, 3)), **VARIANTS[variant])
    images = np.round(photos(3, 12, 16))
    rows = as_arrays(localizer(images))
    assert_same_rows(as_arrays(localizer(images)), rows, atol=0)
    assert_same_rows(as_arrays(localizer(images.astype("uint8"))), rows)
    assert_same_rows(localizer.predict(images, batch_size=2, verbose=0), rows)
    assert_same_rows(as_arrays(tf.function(localizer)(images)), rows)
    one_by_one = [as_arrays(localizer(images[i : i + 1])) for i in range(3)]
    assert_same_rows({key: np.concatenate([row[key] for row in one_by_one]) for key in KEYS}, rows)
    localizer.save(tmp_path / "localizer.keras")
    assert_same_rows(as_arrays(keras.models.load_model(tmp_path / "localizer.keras")(images)), rows)


def test_a_localizer_with_two_inputs_saves_and_predicts(photos, tmp_path):
    localizer = build_localizer(colour_classifier((12, 16, 3)), class_ids="input")
    inputs = {"images": photos(3, 12, 16), "class_ids": np.array([[0, 1], [2, 0], [1, 1]])}
    rows = as_arrays(localizer(inputs))
    localizer.save(tmp_path / "localizer.keras")
    assert_same_rows(as_arrays(keras.models.load_model(tmp_path / "localizer.keras")(inputs)), rows)
    assert_same_rows(localizer.predict(inputs, batch_size=2, verbose=0), rows)


def test_images_are_not_augmented_when_they_are_localized(photos):
    images = keras.Input((16, 16, 3))
    x = layers.RandomTranslation(0.4, 0.4)(images)
    x = layers.GaussianNoise(1.0)(layers.RandomFlip()(x))
    model = keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    localizer, pixels = build_localizer(model), photos(2, 16, 16)
    rows = as_arrays(localizer(pixels))
    for _ in range(3):
        assert_same_rows(as_arrays(localizer(pixels)), rows, atol=0)


def test_many_calls_are_traced_once():
    localizer = build_localizer(colour_classifier(), components="all")
    compiled = tf.function(localizer)
    for seed in range(50):
        images = np.random.default_rng(seed).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
        compiled(images)
        if seed % 10 == 0:
            localizer.predict(images, verbose=0)
    assert compiled.experimental_get_tracing_count() == 1
    assert localizer.predict_function.experimental_get_tracing_count() == 1


# A real network.


def test_the_documented_example(assert_maps_explain, photos, randomize):
    model = randomize(keras_cam.build_model("mobilenet_v2", classes=6, input_shape=(64, 64, 3)))
    images = photos(2, 64, 64)
    assert_maps_explain(build_localizer(model, "all"), model(images), images)
    rows = as_arrays(build_localizer(model, top_k=3)(images))
    np.testing.assert_array_equal(rows["num_detections"], rows["detection_boxes"].any(axis=-1).sum(axis=1))
    best = np.argsort(-np.asarray(model(images)))[:, :3]
    np.testing.assert_array_equal(np.sort(rows["detection_classes"]), np.sort(best))


def test_a_saved_sequential_classifier_is_loaded_as_a_localizer(tmp_path):
    pooled = [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    keras.Sequential([keras.Input((8, 8, 3)), *pooled]).save(tmp_path / "classifier.keras")
    assert set(load_localizer(tmp_path / "classifier.keras").localize(canvas())) == set(KEYS)


# Errors.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top_k": 0}, r'`top_k` must be a positive integer, "all" or None\. Received: top_k=0'),
        ({"top_k": True}, r"`top_k` must be a positive integer.*top_k=True"),
        ({"top_k": 2.0}, r"`top_k` must be a positive integer.*top_k=2\.0"),
        ({"top_k": "five"}, r"`top_k` must be a positive integer.*top_k='five'"),
        ({"class_ids": "all"}, r"`class_ids` must be \"input\" or a list of integers in \[0, 3\).*'all'"),
        ({"class_ids": []}, r"`class_ids` must be .*class_ids=\[\]"),
        ({"class_ids": [0, 3]}, r"integers in \[0, 3\)\. Received: class_ids=\[0, 3\]"),
        ({"class_ids": [-1]}, r"`class_ids` must be .*class_ids=\[-1\]"),
        ({"class_ids": [0.5]}, r"`class_ids` must be .*class_ids=\[0\.5\]"),
        ({"class_ids": 2}, r"`class_ids` must be .*class_ids=2"),
        ({"class_ids": [[0], [1]]}, r"`class_ids` must be .*class_ids=\[\[0\], \[1\]\]"),
        ({"threshold": 1.0}, r"`threshold` must be in \[0, 1\)\. Received: threshold=1\.0"),
        ({"threshold": -0.1}, r"`threshold` must be in \[0, 1\).*-0\.1"),
        (
            {"components": "both"},
            r"`components` must be \"largest\" or \"all\"\. Received: components='both'",
        ),
        ({"max_boxes": 2}, r"`max_boxes` needs components=\"all\"\. Received: max_boxes=2"),
        (
            {"components": "all", "max_boxes": 0},
            r"`max_boxes` must be an integer of at least 1\. Received: max_boxes=0",
        ),
        ({"rule": "paper"}, r"`rule` must be one of \('one_threshold', 'tight_and_loose'\).*rule='paper'"),
        (
            {"rule": "tight_and_loose", "class_ids": [0, 1, 2]},
            r"uses the three best classes .* `class_ids`\. Received: class_ids=\[0, 1, 2\]",
        ),
        ({"rule": "tight_and_loose", "class_ids": "input"}, r"`class_ids`\. Received: class_ids='input'"),
        ({"activation": "relu"}, r"`activation` must be \"softmax\", \"sigmoid\" or None.*'relu'"),
    ],
)
def test_arguments_out_of_range_are_named_with_the_options(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_localizer(colour_classifier(), **arguments)
