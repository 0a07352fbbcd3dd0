"""Overlays, galleries and figures, with pixels one can work out by hand."""

import numpy as np
import pytest
from PIL import Image

from keras_cam.drawing import (
    COLORMAPS,
    display_size,
    draw_localization,
    figure,
    gallery,
    overlay,
)
from keras_cam.inference.records import Detection, Localization

INFERNO_TOP = np.array([252, 255, 164])  # the last colour of matplotlib's table


def photo(height=60, width=80):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def corner_map():
    """Hot in the lower right corner, negative elsewhere."""
    values = np.full((4, 4), -1.0, np.float32)
    values[3, 3] = 2.0
    return values


def record(*detections, width=80, height=60):
    return Localization("photo.png", width, height, "tiny", detections)


def detection(box_xyxy=(20.0, 20.0, 60.0, 50.0), label="cat", score=0.5, activation_map=None):
    fine = np.kron(corner_map(), np.ones((2, 2), np.float32))
    return Detection(0, label, score, box_xyxy, fine if activation_map is None else activation_map)


def test_the_hottest_place_has_the_last_colour_at_full_alpha_and_cold_ones_stay():
    image = photo()
    picture = overlay(image, corner_map(), alpha=1.0)
    assert picture[59, 79] == pytest.approx(INFERNO_TOP, abs=1)
    np.testing.assert_array_equal(picture[:30, :40], image[:30, :40])
    half = overlay(image, corner_map(), alpha=0.5)
    assert half[59, 79] == pytest.approx((INFERNO_TOP + image[59, 79]) / 2, abs=1)


def test_colour_grows_denser_with_the_value():
    grey = np.full((10, 50, 3), 128, np.uint8)
    ramp = np.tile(np.linspace(0, 1, 50, dtype=np.float32), (10, 1))
    change = np.abs(overlay(grey, ramp, colormap="viridis").astype(int) - 128)[5].max(axis=-1)
    assert change[0] == 0
    assert change.argmax() == 49
    peak = overlay(grey, np.pad(np.ones((1, 1), np.float32), ((1, 3), (1, 3)))).astype(int) - 128
    row, column = np.unravel_index(np.abs(peak).sum(axis=-1).argmax(), (10, 50))
    assert (row // 2, column // 10) == (1, 1)


@pytest.mark.parametrize(
    "activation_map", [np.zeros((7, 7)), np.full((7, 7), 3.0), -np.eye(7), np.ones((1, 1))]
)
def test_a_map_that_names_no_place_adds_no_colour(activation_map):
    np.testing.assert_array_equal(overlay(photo(), activation_map), photo())


def test_alpha_zero_leaves_the_photo():
    np.testing.assert_array_equal(overlay(photo(), corner_map(), alpha=0.0), photo())


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int64, str])
def test_the_input_is_never_altered(tmp_path, kind):
    image = photo()
    Image.fromarray(image).save(tmp_path / "photo.png")
    given = str(tmp_path / "photo.png") if kind is str else image.astype(kind)
    copy = given if kind is str else given.copy()
    pictures = [
        overlay(given),
        overlay(given, corner_map(), [(1, 2, 30, 40)], ["cat"], [0.5]),
        draw_localization(given, record(detection())),
        gallery([given]),
        display_size(given),
    ]
    np.testing.assert_array_equal(given, copy)
    np.testing.assert_array_equal(pictures[0], image)
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    pictures[0][:] = 0
    np.testing.assert_array_equal(given, copy)


def test_a_box_is_a_bright_line_on_its_border_pixels_between_black_ones():
    image = np.full((60, 80, 3), 100, np.uint8)
    picture = overlay(image, boxes_xyxy=[(20.2, 10.0, 60.0, 50.0)])[..., 0]
    assert picture[30, 17:24].tolist() == [100, 100, 0, 255, 0, 100, 100]  # xmin is column 20
    assert picture[30, 57:63].tolist() == [100, 0, 255, 0, 100, 100]  # xmax 60 is half-open: column 59
    assert picture[8:13, 40].tolist() == [100, 0, 255, 0, 100]
    assert picture[47:53, 40].tolist() == [100, 0, 255, 0, 100, 100]


def test_pixels_off_the_box_and_its_plate_stay():
    image = photo(200, 300)
    picture = overlay(image, boxes_xyxy=[(100, 100, 200, 150)], labels=["cat"], scores=[0.5])
    changed = np.argwhere((picture != image).any(axis=-1))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    assert 80 <= top < 95  # the plate sits on top of the box
    assert (left, bottom, right) == (99, 150, 200)
    np.testing.assert_array_equal(picture[110:140, 110:190], image[110:140, 110:190])


def test_plates_stay_inside_the_image_and_off_each_other():
    white = np.full((200, 300, 3), 255, np.uint8)
    boxes = [(250, 0, 300, 60), (250, 0, 300, 60), None]
    picture = overlay(white, boxes_xyxy=boxes, labels=["cat", "dog", "a" * 200], scores=[0.5, 0.4, 0.1])
    alone = overlay(white, boxes_xyxy=boxes[1:2], labels=["dog"], scores=[0.4])
    assert picture.shape == alone.shape == white.shape
    assert (picture[..., 0] == 86).sum() > 200  # the second plate, in the second colour


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 500), (500, 1), (8, 8), (64, 64)])
def test_tiny_photos_can_be_drawn_on(size_hw):
    box = (0.0, 0.0, float(size_hw[1]), float(size_hw[0]))
    best, without_box = detection(box, "Egyptian cat", 0.99), detection(None, "tabby")
    drawn = record(best, without_box, width=size_hw[1], height=size_hw[0])
    assert draw_localization(photo(*size_hw), drawn, top=2).shape == (*size_hw, 3)


def test_a_record_is_drawn_at_any_size_of_the_photo():
    picture = draw_localization(np.full((120, 160, 3), 100, np.uint8), record(detection(label="")), alpha=0.0)
    assert picture[70, 38:43, 0].tolist() == [100, 0, 255, 0, 100]  # x = 20 of 80 is 40 of 160


def test_top_boxes_are_drawn_over_the_best_map():
    drawn = record(detection((5, 5, 30, 30)), detection((40, 5, 75, 30), activation_map=np.eye(8)))
    one, two = (draw_localization(photo(), drawn, top=top) for top in (1, 2))
    assert (one[20:, :32] == two[20:, :32]).all()
    assert (one[:, 40:] != two[:, 40:]).any()
    np.testing.assert_array_equal(draw_localization(photo(), record()), photo())


def test_what_says_little_about_the_place_is_remarked():
    flat, coarse = 1 - 0.5 * np.eye(7, dtype=np.float32), corner_map()[1:, 1:]
    found = {
        "": detection(),
        "no box": detection(None),
        "flat map": detection((0.0, 0.0, 80.0, 60.0), activation_map=flat),
        "map of 3 x 3 cells": detection(activation_map=coarse),
    }
    assert [one.remark for one in found.values()] == list(found)
    # A flat map neither dyes the photo nor has a box: only the plate with the text is drawn.
    drawn = draw_localization(photo(), record(found["flat map"]))
    np.testing.assert_array_equal(drawn[20:], photo()[20:])
    assert (drawn[:20] != photo()[:20]).any()
    title = figure(photo(), record(found["map of 3 x 3 cells"])).axes[1].get_title()
    assert title == "cat 50.0%, map of 3 x 3 cells"


def test_a_gallery_has_equal_cells():
    white_margin = gallery(
        [np.zeros((10, 40, 3)), photo(), photo(9, 9)], columns=2, cell_wh=(40, 20), margin=4
    )
    assert white_margin.shape == (4 + 2 * 24, 4 + 2 * 44, 3)
    assert (white_margin[:4] == 255).all()
    assert (white_margin[28:, 48:] == 255).all()  # the empty fourth cell
    assert (white_margin[9:19, 4:44] == 0).all()  # the flat photo, centred in its cell
    assert (white_margin[4:9, 4:44] == 255).all()
    assert gallery([photo()] * 5, cell_wh=(10, 10), margin=0).shape == (20, 30, 3)


def test_a_figure_shows_the_photo_and_every_class():
    sheet = figure(photo(), record(detection(), detection(None, "dog", 0.25)))
    assert [axes.get_title() for axes in sheet.axes] == ["photo.png", "cat 50.0%", "dog 25.0%, no box"]
    assert sheet._repr_png_().startswith(b"\x89PNG")


def test_display_size_keeps_what_is_readable():
    assert display_size(photo()).shape == (240, 320, 3)
    assert display_size(photo(400, 300)).shape == (400, 300, 3)
    assert display_size(photo(10, 5000)).shape == (4, 2048, 3)
    assert display_size(photo(1, 5000)).shape == (1, 2048, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: overlay(photo()[..., 0]), r"RGB array \(H, W, 3\).*shape \(60, 80\)"),
        (lambda: overlay(photo() / 255), r"values in 0\.\.255\. Received: float64 values from 0\.0 to 1\.0"),
        (
            lambda: overlay(photo() * 2.0),
            r"values in 0\.\.255\. Received: float64 values from 0\.0 to 510\.0",
        ),
        (
            lambda: overlay(np.full((2, 2, 3), np.nan)),
            r"values in 0\.\.255\. Received: float64 values from nan",
        ),
        (lambda: overlay(photo(), np.zeros((2, 2, 2))), r"`activation_map`.*Received: shape \(2, 2, 2\)"),
        (lambda: overlay(photo(), np.full((2, 2), np.nan)), "`activation_map` must be .* finite"),
        (
            lambda: overlay(photo(), np.eye(2), alpha=1.5),
            r"`alpha` must be in \[0, 1\]\. Received: alpha=1\.5",
        ),
        (lambda: overlay(photo(), alpha=1.5), r"`alpha` must be in \[0, 1\]"),
        (lambda: draw_localization(photo(), record(), masks=True, alpha=2), r"`alpha` must be in \[0, 1\]"),
        (lambda: overlay(photo(), remarks=["no box"]), "`remarks` must be empty or .* 0 boxes"),
        (lambda: overlay(photo(), np.eye(2), colormap="jet"), "`colormap` must be one of .*viridis.*'jet'"),
        (lambda: overlay(photo(), labels=["cat"]), "`labels` must be empty or .* 0 boxes"),
        (lambda: overlay(photo(), boxes_xyxy=[None], scores=[1, 2]), "`scores` must be empty or .* 1 boxes"),
        (lambda: draw_localization(photo(), record(), top=0), r"`top` must be at least 1\. Received: top=0"),
        (lambda: figure(photo(), record(), top=0), r"`top` must be at least 1\. Received: top=0"),
        (lambda: gallery([]), "`images` must be a list of at least one image"),
        (lambda: gallery([photo()], columns=0), r"`columns` must be at least 1\. Received: columns=0"),
    ],
)
def test_errors_name_the_rule_and_what_was_received(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_every_colour_map_colours(colormap):
    assert (overlay(photo(), corner_map(), colormap=colormap) != photo()).any()
