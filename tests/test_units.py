"""Units, their images, patches and receptive fields, where one can say in advance what they are."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_cam.applications.discovery.unit_sheet import UnitRow, draw_unit_sheet, unit_sheet_html
from keras_cam.applications.discovery.units import (
    class_units,
    find_unit_images,
    receptive_field,
    segmented_patch,
)
from keras_cam.applications.features import backbone_of
from keras_cam.cli import main as cli


@pytest.fixture(scope="module")
def classifier():
    """Units are red, green and blue in cells of 8 pixels of a 64 x 64 image."""
    images = keras.Input((64, 64, 3))
    features = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(images))
    model = keras.Model(images, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(features)))
    kernel = np.array([[0, 3, 1, 0], [0, -1, 2, 0], [0, 0.5, 3, 0]], "float32")
    model.layers[-1].set_weights([kernel, np.zeros(4, "float32")])
    return model


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Nine photos with a square in one colour, of brightness 100 + 10 n, at a place that tells the number."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(9):
        pixels = np.zeros((128, 128, 3), np.uint8)
        left = 16 * (number % 7)
        pixels[32:64, left : left + 32, number % 3] = 100 + 10 * number
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_the_best_images_of_a_unit_whatever_the_batches(classifier, photos, batch_size):
    seen = []
    found = find_unit_images(backbone_of(classifier), [photos], 2, batch_size, lambda: seen.append(1))
    assert len(seen) == 9
    assert found.images.tolist() == [[6, 3], [7, 4], [8, 5]]
    np.testing.assert_allclose(found.scores, np.array([[160, 130], [170, 140], [180, 150]]) / 255, atol=0.03)
    assert found.maps.shape == (3, 2, 8, 8)
    np.testing.assert_allclose(found.maps.max(axis=(2, 3)), found.scores)
    # Each colour is in three photos, on a sixteenth of each, and in none of the six others.
    means = [[100 + 10 * number, 130 + 10 * number, 160 + 10 * number] + [0] * 6 for number in range(3)]
    np.testing.assert_allclose(found.deviations, np.std(means, axis=1) / 255 / 16, rtol=0.02)
    _, column = np.unravel_index(found.maps[0, 0].argmax(), (8, 8))  # photo 6: pixels 96 to 128 of 128
    assert column in (6, 7)


def test_fewer_images_than_asked_and_broken_ones(classifier, photos, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = find_unit_images(backbone_of(classifier), [photos / "0.png", tmp_path / "broken.png"], top=3)
    assert found.images[0].tolist() == [0, -1, -1]
    assert np.isneginf(found.scores[0, 1:]).all()
    [failure] = found.failures
    assert "broken.png" in failure
    with pytest.raises(ValueError, match="Received: top=0"):
        find_unit_images(backbone_of(classifier), [photos], top=0)


def test_units_of_a_class_are_ranked_by_weight(classifier):
    units, weights = class_units(classifier, 1, 2)
    assert (units.tolist(), weights.tolist()) == ([0, 2], [3, 0.5])
    units, weights = class_units(classifier, 2, 9)
    assert (units.tolist(), weights.tolist()) == ([2, 1, 0], [3, 2, 1])
    units, weights = class_units(classifier, 2, 2, deviations=np.array([4.0, 1.0, 0.1]))
    assert (units.tolist(), weights.tolist()) == ([0, 1], [1, 2])  # effects 4, 2 and 0.3
    with pytest.raises(ValueError, match=r"in \[0, 4\). Received: class_id=4"):
        class_units(classifier, 4)


def test_a_patch_shows_the_region_and_darkens_the_rest():
    photo = np.full((80, 80, 3), 200, np.uint8)
    unit_map = np.zeros((8, 8), np.float32)
    unit_map[2, 5] = 1.0
    unit_map[6, 1] = 0.9  # another region, which is not connected with the highest place
    patch = segmented_patch(photo, unit_map)
    assert patch.shape[0] == patch.shape[1]
    # Half of the maximum is half a cell away from its centre in each direction, in a cell of 10 pixels.
    assert patch.shape[0] == pytest.approx(10, abs=2)
    assert (patch == 200).all(axis=-1).mean() > 0.5
    assert set(np.unique(patch)) == {50, 200}


def test_the_receptive_field_of_a_cell_is_the_cell(classifier):
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 40, (64, 64, 3), np.uint8) for _ in range(3)]
    for number, photo in enumerate(photos):
        photo[24:32, 16 * number : 16 * number + 8, 0] = 255
    field, size = receptive_field(backbone_of(classifier), 0, photos, positions=16)
    row, column = np.unravel_index(field.argmax(), field.shape)
    assert (row, column) == pytest.approx((32, 32), abs=4)
    # A cell of 8 and a patch of 11 pixels overlap by half at most 8 pixels from each other's centre.
    assert size * 64 == pytest.approx(12, abs=5)
    assert receptive_field(backbone_of(classifier), 1, [np.zeros((64, 64, 3), np.uint8)])[1] == 0


def test_sheets_hold_what_they_are_given():
    row = UnitRow(7, 0.5, 0.25, [np.full((9, 9, 3), 255 * n, np.uint8) for n in range(2)])
    sheet = draw_unit_sheet({"cat & dog": [row], "fox": [row, row]})
    assert sheet.shape[2] == 3
    page = unit_sheet_html({"cat & dog": [row], "fox": [row, row]}, "Units of <net>")
    assert page.count("data:image/jpeg;base64,") == 6
    assert "cat &amp; dog" in page
    assert "&lt;net&gt;" in page
    assert "field 25% of the side" in page


def test_the_command_writes_the_sheet(classifier, photos, tmp_path, capsys):
    classifier.save(tmp_path / "colours.keras")
    arguments = ["units", str(photos), "--model", str(tmp_path / "colours.keras")]
    arguments += ["--output", str(tmp_path / "sheet")]
    command = [*arguments, "--class", "1", "--class", "Class 2", "--units", "2", "--receptive-fields"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out.split()
    assert [path.rsplit("/")[-1] for path in out] == ["units.html", "units.png"]
    page = (tmp_path / "sheet" / "units.html").read_text()
    assert page.index("unit 0") < page.index("unit 2")
    assert page.count("<img") == 2 * (3 + 3)
    assert cli.main([*arguments, "--class", "zebra"]) == 2
    assert "Received: zebra" in capsys.readouterr().err
