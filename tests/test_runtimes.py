"""A model runs on whatever is fastest, with the same results, and on all processors."""

import gc
import itertools
import weakref
from importlib import resources
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from keras_cam import localize_files
from keras_cam.cli import console
from keras_cam.cli import main as cli
from keras_cam.images.map_ahead import map_ahead
from keras_cam.inference import Detection, LiteRTLocalizer, Localization, converted_files, runtimes
from keras_cam.inference.converted_files import converted_file
from keras_cam.inference.runtimes import RUNTIMES, converted, load_fastest, starts_tensorflow

CONVERTED = [name for name, row in RUNTIMES.items() if row.format]


@pytest.fixture(scope="module")
def prepared(model_file, tmp_path_factory):
    """The folder in which the model is converted for LiteRT already."""
    folder = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_CAM_CONVERTED", str(folder))
        converted(model_file, "litert", {})
    return folder


@pytest.fixture
def nothing_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAM_CONVERTED", str(tmp_path / "converted"))
    monkeypatch.setattr(runtimes, "_may_have_gpu", lambda: False)


@pytest.fixture
def files(tmp_path, photos):
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for path, pixels in zip(paths, photos(5, 40, 48), strict=True):
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("runtime", CONVERTED)
def test_every_runtime_finds_what_keras_finds(model_file, files, nothing_prepared, runtime):
    expected = list(localize_files(model_file, files, runtime="tensorflow"))
    found = list(localize_files(model_file, files, runtime=runtime))
    assert {record.runtime for record in expected} == {"tensorflow"}
    assert {record.runtime for record in found} == {runtime}
    for record, other in zip(found, expected, strict=True):
        assert (record.image, record.width, record.height) == (other.image, other.width, other.height)
        for one, another in zip(record.detections, other.detections, strict=True):
            assert (one.class_id, one.label) == (another.class_id, another.label)
            assert one.score == pytest.approx(another.score, abs=1e-4)
            assert one.box_xyxy == (another.box_xyxy and pytest.approx(another.box_xyxy, abs=0.02))
            assert one.threshold == another.threshold
    images = np.full((1, 32, 32, 3), [[[90, 60, 30]]], np.float32)
    maps = [
        load_fastest(model_file, name).cam(images, [[2, 0]])["class_activation_maps"]
        for name in ("tensorflow", runtime)
    ]
    np.testing.assert_allclose(*maps, atol=1e-4)


def test_what_was_converted_is_used_without_tensorflow(model_file, prepared, monkeypatch):
    monkeypatch.setattr(runtimes, "_may_have_gpu", lambda: False)
    monkeypatch.setenv("KERAS_CAM_CONVERTED", str(prepared))
    assert not starts_tensorflow(model_file)
    assert load_fastest(model_file).runtime == "litert"
    # The names of classes that are only numbers are no names that the model carries.
    assert load_fastest(model_file).labels is None
    # Another threshold makes other boxes, so that file is another one.
    assert starts_tensorflow(model_file, threshold=0.5)
    assert load_fastest(model_file, threshold=0.5).runtime == "tensorflow"
    monkeypatch.setattr(runtimes, "_may_have_gpu", lambda: True)
    assert starts_tensorflow(model_file)
    assert load_fastest(model_file).runtime == "tensorflow"


def test_many_photos_are_worth_a_conversion(model_file, nothing_prepared, monkeypatch):
    made = []
    monkeypatch.setattr(runtimes, "converted", lambda *arguments: made.append(arguments) or 1 / 0)
    assert load_fastest(model_file, photos=runtimes.WORTH_CONVERTING - 1).runtime == "tensorflow"
    assert made == []
    with pytest.raises(ZeroDivisionError):
        load_fastest(model_file, photos=runtimes.WORTH_CONVERTING)
    assert made == [(model_file, "litert", {}, runtimes.LOCALIZATION)]


def test_what_cannot_be_converted_runs_on_tensorflow(model_file, nothing_prepared, monkeypatch):
    def other(*_):
        raise ValueError("A converted model must find what Keras finds.")

    monkeypatch.setattr(runtimes, "_check_same", other)
    monkeypatch.setattr(runtimes, "WORTH_CONVERTING", 1)
    assert load_fastest(model_file).runtime == "tensorflow"
    assert not converted_file(model_file, "litert", {}).exists()
    with pytest.raises(ValueError, match="must find what Keras finds"):
        load_fastest(model_file, "litert")


def test_a_conversion_that_finds_something_else_is_noticed(colour_classifier):
    localizer = keras_cam.load_localizer(colour_classifier)
    other = keras.models.clone_model(colour_classifier)
    other.layers[-1].set_weights([np.eye(3, dtype=np.float32)[::-1] * 2, np.zeros(3, np.float32)])
    runtimes._check_same(localizer, keras_cam.load_localizer(colour_classifier))
    with pytest.raises(ValueError, match=r"Received: detection_scores that differ by 0\.\d+"):
        runtimes._check_same(localizer, keras_cam.load_localizer(other))
    half = keras_cam.load_localizer(colour_classifier, threshold=0.5)
    with pytest.raises(ValueError, match=r"Received: the threshold 0\.5 in place of 0\.2"):
        runtimes._check_same(localizer, half)


def test_a_change_of_the_code_that_exports_renames_converted_files(monkeypatch):
    before, read = converted_file("efficientnet_lite0", "litert", {}), Path.read_bytes
    writer = resources.files("keras_cam.export") / "litert.py"
    monkeypatch.setattr(Path, "read_bytes", lambda self: read(self) + (b"#" if self == writer else b""))
    converted_files._versions.cache_clear()
    try:
        assert converted_file("efficientnet_lite0", "litert", {}) != before
    finally:
        converted_files._versions.cache_clear()


def test_the_name_of_a_converted_file_tells_models_and_options_apart(model_file, colour_classifier, tmp_path):
    other = keras.models.clone_model(colour_classifier)
    other.save(tmp_path / "colours.keras")
    names = {
        converted_file(file, kind, options).name
        for file in (model_file, tmp_path / "colours.keras")
        for kind, options in itertools.product(("litert", "onnx"), ({}, {"top_k": 2}, {"top_k": 3}))
    }
    assert len(names) == 12
    copy = tmp_path / "copy" / "colours.keras"
    copy.parent.mkdir()
    copy.write_bytes(Path(model_file).read_bytes())
    assert converted_file(copy, "litert", {}) == converted_file(model_file, "litert", {})


def test_what_is_exported_or_open_stays_as_it_is(colour_classifier, prepared):
    [file] = prepared.glob("*.tflite")
    assert load_fastest(file).runtime == "litert"
    assert load_fastest(colour_classifier).runtime == "tensorflow"
    with pytest.raises(ValueError, match="`runtime` must be auto or 'litert' for what is exported"):
        load_fastest(file, "tensorflow")
    with pytest.raises(ValueError, match="`runtime` must be one of"):
        load_fastest(file, "tensorrt")


def test_interpreters_share_the_images_of_a_batch(prepared, photos):
    [file] = prepared.glob("*.tflite")
    alone, together = LiteRTLocalizer(file, threads=1), LiteRTLocalizer(file, threads=3)
    images = photos(7, 32, 32)
    for name, values in alone.localize(images).items():
        np.testing.assert_array_equal(together.localize(images)[name], values)
    class_ids = np.arange(7)[:, None] % 3
    for name, values in alone.cam(images, class_ids).items():
        np.testing.assert_array_equal(together.cam(images, class_ids)[name], values)


def test_a_model_is_prepared_and_used_by_the_command_line(model_file, files, nothing_prepared, capsys):
    assert cli.main(["models", "--prepare", str(model_file)]) == 0
    assert capsys.readouterr().out == f"{model_file} for litert: {converted_file(model_file, 'litert', {})}\n"
    assert cli.main(["localize", str(files[0]), "--model", str(model_file), "--json"]) == 0
    assert '"runtime": "litert"' in capsys.readouterr().out
    assert cli.main(["models", "--prepare", str(converted_file(model_file, "litert", {}))]) == 2


def test_results_are_computed_ahead_in_order_and_in_a_bounded_number():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = map_ahead(lambda item: -item, items(), threads=3, ahead=4)
    assert [next(results) for _ in range(10)] == [-item for item in range(10)]
    assert len(taken) == 14
    results.close()
    with pytest.raises(ZeroDivisionError):
        list(map_ahead(lambda item: 1 / item, [1, 0]))


def test_pictures_of_many_equal_names_take_linear_time(monkeypatch, tmp_path):
    calls = []
    key = console._key
    monkeypatch.setattr(console, "_key", lambda path: calls.append(path) or key(path))
    files = [tmp_path / str(number) / "photo.jpg" for number in range(1000)]
    paths = console.picture_paths(files, tmp_path)
    assert len(set(paths)) == 1000
    assert len(calls) < 5 * 1000


def test_the_table_keeps_no_map(capsys):
    activation_map = np.eye(7, dtype=np.float32)
    kept = weakref.ref(activation_map)
    table = console.LocalizationTable()
    table.add(Localization("a.jpg", 9, 9, "m", (Detection(0, "cat", 0.05, None, activation_map),)))
    del activation_map
    gc.collect()
    assert kept() is None
    table.print()
    out = capsys.readouterr().out
    assert "no box" in out
    assert "Best scores below 10%" in out


@pytest.mark.parametrize(("name", "start"), [("jpg", b"\xff\xd8"), ("webp", b"RIFF"), ("png", b"\x89PNG")])
def test_pictures_have_the_format_of_their_suffix(tmp_path, files, name, start):
    Localization(str(files[0]), 48, 40, "m", ()).save(tmp_path / f"picture.{name}")
    assert (tmp_path / f"picture.{name}").read_bytes().startswith(start)
    with pytest.raises(ValueError, match=r"`path` must end in one of \.jpg, \.webp, \.png"):
        Localization(str(files[0]), 48, 40, "m", ()).save(tmp_path / "picture.bmp")


def test_a_second_look_at_photos_stays_with_tensorflow(nothing_prepared):
    options = {"refine": "look_again", "photos": runtimes.WORTH_CONVERTING}
    assert load_fastest("efficientnet_lite0", **options).runtime == "tensorflow"
    with pytest.raises(ValueError, match="A second look at the photo itself needs the runtime 'tensorflow'"):
        load_fastest("efficientnet_lite0", "litert", refine="look_again")
