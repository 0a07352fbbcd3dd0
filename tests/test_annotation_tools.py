"""CVAT and Label Studio ask the localizer themselves."""

import json
import urllib.error
import urllib.request
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from PIL import Image

from keras_cam.annotations.label_studio import Interface, label_config
from processes import KERAS_CAM, start_python


def green_photo():
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:48, 24:48, 1] = 255
    return Image.fromarray(pixels)


# CVAT


@pytest.mark.parametrize(
    ("masks", "to_polygons", "kind"),
    [(False, False, "rectangle"), (True, False, "mask"), (True, True, "polygon")],
)
def test_cvat_annotates_a_task_with_the_function(monkeypatch, colour_classifier, masks, to_polygons, kind):
    """CVAT's own driver, with a task that is not on a server."""
    cvataa = pytest.importorskip("cvat_sdk.auto_annotation")
    from cvat_sdk.masks import decode_mask

    from keras_cam.annotations import cvat

    kinds = kind if kind != "polygon" else "any"
    label = SimpleNamespace(id=71, name="class 1", type=kinds, attributes=[], sublabels=[])
    photo = SimpleNamespace(load_image=lambda: green_photo().convert("RGBA"))
    sample = SimpleNamespace(frame_name="green.png", frame_index=5, media=photo)
    task = SimpleNamespace(labels=[label], samples=[sample])
    monkeypatch.setattr("cvat_sdk.auto_annotation.driver.TaskDataset", lambda *_, **__: task)
    client = MagicMock()
    function = cvat.create(colour_classifier, min_score=0.0, masks=masks)
    cvataa.annotate_task(client, 1, function, allow_unmatched_labels=True, conv_mask_to_poly=to_polygons)
    uploaded = client.tasks.api.partial_update_annotations.call_args.kwargs["patched_labeled_data_request"]
    [shape] = uploaded.shapes
    assert (shape.type.value, shape.label_id, shape.frame) == (kind, 71, 5)
    assert shape.score == pytest.approx(np.exp(1 / 8) / (np.exp(1 / 8) + 2), abs=0.03)
    if kind == "mask":
        mask = decode_mask(shape.points, image_width=96, image_height=64)
        assert mask[32, 36]
        assert not mask[:, 60:].any()
    else:
        corners = np.array(shape.points).reshape(-1, 2)
        np.testing.assert_allclose([*corners.min(0), *corners.max(0)], [24, 16, 48, 48], atol=12)


def test_cvat_chooses_the_lowest_score(colour_classifier):
    pytest.importorskip("cvat_sdk")
    from keras_cam.annotations import cvat

    function = cvat.create(colour_classifier)
    context = SimpleNamespace(conf_threshold=0.9, conv_mask_to_poly=False)
    assert list(function.detect(context, green_photo())) == []
    assert [label.name for label in function.spec.labels] == ["class 0", "class 1", "class 2"]


# Label Studio


@pytest.fixture(scope="module")
def backend(colour_classifier, tmp_path_factory):
    """The documented command, running: the URL that it prints."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "root").mkdir()
    green_photo().save(folder / "root/gr\u00fcn 1.png")
    green_photo().save(folder / "secret.png")
    colour_classifier.save(folder / "colours.keras")
    options = ("--model", folder / "colours.keras", "--masks", "--port", 0)
    process = start_python(*KERAS_CAM, "label-studio", folder / "root", *options)
    yield process.stdout.readline().strip()
    process.terminate()
    process.communicate()


def ask(url, content=None):
    request = urllib.request.Request(url, None if content is None else json.dumps(content).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def task(path, key="image"):
    return {"id": 1, "data": {key: f"/data/local-files/?d={path}"}}


def test_label_studio_gets_predictions_over_http(backend):
    assert ask(f"{backend}/health") == (200, {"status": "UP", "model_class": "keras-cam"})
    status, answer = ask(f"{backend}/setup", {"project": "1", "schema": label_config(["class 1"])})
    assert (status, list(answer)) == (200, ["model_version"])
    tasks = [task("gr%C3%BCn%201.png")] * 2
    status, answer = ask(
        f"{backend}/predict", {"tasks": tasks, "label_config": label_config(["class 1"], True)}
    )
    assert (status, len(answer["results"])) == (200, 2)
    box, brush = answer["results"][0]["result"]
    assert (box["type"], brush["type"]) == ("rectanglelabels", "brushlabels")
    assert box["value"]["rectanglelabels"] == ["class 1"]
    sides = [box["value"][name] for name in ("x", "y", "width", "height")]
    np.testing.assert_allclose(sides, [25, 25, 25, 50], atol=13)  # percent of 96 x 64


def test_regions_bear_the_names_of_the_project(backend):
    config = """<View><Image name="photo" value="$url"/><RectangleLabels name="box" toName="photo"/></View>"""
    assert Interface.from_xml(config) == Interface("box", None, "photo", "url")
    status, answer = ask(
        f"{backend}/predict", {"tasks": [task("gr%C3%BCn%201.png", "url")], "label_config": config}
    )
    [box] = answer["results"][0]["result"]
    assert (status, box["from_name"], box["to_name"]) == (200, "box", "photo")


@pytest.mark.parametrize(
    ("path", "request_", "status", "message"),
    [
        ("/predict", {"tasks": [task("../secret.png")]}, 400, "Photos must be below"),
        ("/predict", {"tasks": [task("gone.png")]}, 400, "gone.png: no such file"),
        ("/predict", {"tasks": [{"data": {"image": "http://other/a.png"}}]}, 400, "must be local files"),
        ("/predict", {"tasks": [task("a.png")], "label_config": "<View"}, 400, "must be XML"),
        ("/predict", {"tasks": [task("a.png")], "label_config": "<View/>"}, 400, "must have `Image`"),
        ("/predict", {}, 404, "no such path or field"),
        ("/predict", [], 400, ""),
        ("/other", {}, 404, "no such path or field"),
    ],
)
def test_requests_that_cannot_be_answered(backend, path, request_, status, message):
    found, answer = ask(backend + path, request_)
    assert found == status
    assert message in answer["error"]


@pytest.mark.parametrize("length", ["-1", "many"])
def test_a_request_says_how_long_it_is(backend, length):
    request = urllib.request.Request(backend + "/predict", b"{}", {"Content-Length": length})
    with pytest.raises(urllib.error.HTTPError, match="400") as error:
        urllib.request.urlopen(request)
    assert "must be a number of bytes" in json.load(error.value)["error"]
