"""The evaluation of a model whose answers can be told in advance."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import fields, replace

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from coco_files import write_coco
from keras_cam import evaluate, load_localizer
from keras_cam.cli import main as cli
from keras_cam.data import read_annotations, to_dataset
from keras_cam.evaluation import (
    PROTOCOLS,
    Protocol,
    ResultParts,
    evaluation_table,
    result_parts,
    results_folder,
)
from keras_cam.evaluation.results import mcnemar_p_value
from keras_cam.layers import LocalizerModel
from keras_cam.metrics import (
    ClassificationError,
    GTKnownLocalization,
    LocalizationError,
    MaxBoxAcc,
    MaxBoxAccV2,
    MeanBoxIoU,
    PointingGame,
    wilson_interval,
)

COLOURS = {"red": 0, "green": 1, "blue": 2}


@pytest.fixture(scope="module")
def localizer():
    """Class = the colour of which there is most; its map is that colour's channel, in cells of 4 pixels."""
    images = keras.Input((32, 32, 3))
    features = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(images))
    logits = keras.layers.Dense(3, use_bias=False)(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(images, logits)
    model.layers[-1].set_weights([10 * np.eye(3, dtype="float32")])
    return keras_cam.build_localizer(model, top_k=3)


@pytest.fixture
def photos(tmp_path):
    """Four photos of 64x64: a rectangle of a colour and where the annotation says it is.

    The first is right; the second has a box too small for an IoU of 0.5; the third is labelled as a colour
    that comes second in it; the fourth has no box.
    """
    rows = [
        ("green", (12, 12, 52, 52), "green", [12, 12, 40, 40]),
        ("blue", (0, 0, 32, 64), "blue", [0, 0, 16, 16]),
        ("red", (8, 8, 56, 56), "blue", [0, 56, 64, 8]),
        ("red", (16, 16, 48, 48), "red", None),
    ]
    images = {}
    for index, (colour, box, label, box_xywh) in enumerate(rows):
        pixels = np.zeros((64, 64, 3), np.uint8)
        if colour != label:
            pixels[56:] = np.eye(3)[COLOURS[label]] * 255
        pixels[box[1] : box[3], box[0] : box[2]] = np.eye(3)[COLOURS[colour]] * 255
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        images[f"{index}.png"] = (64, 64), [(label, box_xywh)]
    write_coco(tmp_path / "annotations.json", images, list(COLOURS))
    return tmp_path


def test_figures_are_those_one_can_count(localizer, photos):
    figures = evaluate(localizer, read_annotations(photos), model_name="colours").to_dict()
    assert figures["images"] == 4
    assert figures["classification_top1_error"] == 1 / 4  # the third
    assert figures["classification_top5_error"] == 0
    assert figures["localization_top1_error"] == 2 / 3  # the second and the third; the fourth has no box
    assert figures["localization_top5_error"] == 1 / 3  # the second
    assert figures["gt_known_accuracy"] == 2 / 3
    assert figures["single_object_gt_known"] == 2 / 3
    assert figures["several_objects_gt_known"] is None
    assert figures["pointing_game"] == 1
    # Half the image in the middle, 45.25 pixels wide, covers the first box: 40 * 40 / 2048 = 0.78.
    assert figures["center_box_gt_known"] == pytest.approx(1 / 3)
    assert figures["full_image_gt_known"] == 0
    assert figures["intervals"]["gt_known_accuracy"] == wilson_interval(2, 3)
    assert figures["max_box_acc"]["oracle"] is True
    assert figures["model"] == "colours"


@pytest.mark.parametrize("protocol", ["zhou2016", "zhou2016_test", "zhou2016_released"])
def test_every_protocol_counts_every_image(localizer, photos, protocol):
    results = []
    evaluation = evaluate(localizer, read_annotations(photos), protocol, on_result=results.append)
    assert evaluation.images == len(results) == 4
    assert [result.image.name for result in results] == ["0", "1", "2", "3"]
    assert results[0].predicted[0] == COLOURS["green"]
    np.testing.assert_allclose(results[0].boxes_xyxy, [[12, 12, 52, 52]], atol=6)
    assert results[3].iou is None


def test_a_broken_image_is_told_and_left_out(localizer, photos):
    (photos / "0.png").write_bytes((photos / "0.png").read_bytes()[:60])
    evaluation = evaluate(localizer, read_annotations(photos), batch_size=2)
    assert evaluation.images == 3
    assert len(evaluation.failures) == 1
    assert "0.png" in evaluation.failures[0]


def test_the_model_must_have_the_classes_and_the_protocol_a_name(localizer, photos):
    with pytest.raises(ValueError, match=r"`protocol` must be one of .*zhou2016.*Received: protocol='2016'"):
        evaluate(localizer, read_annotations(photos), "2016")
    images = keras.Input((32, 32, 3))
    small = keras.Model(images, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(images)))
    with pytest.raises(
        ValueError, match=r"must have the classes .*data of 3 classes, 'red'.*; and a model of 1"
    ):
        evaluate(keras_cam.build_localizer(small), read_annotations(photos))


def test_mcnemar_counts_only_images_on_which_the_models_differ():
    assert mcnemar_p_value([1, 0, 1, -1], [1, 0, 1, 1]) == 1
    assert mcnemar_p_value([1] * 8 + [0], [0] * 8 + [0]) == pytest.approx(2 / 2**8)
    assert mcnemar_p_value([1, 1, 1, 0], [0, 0, 0, 1]) == pytest.approx(0.625)  # 3 of 4: 2 * 5 / 16


def test_wilson_by_hand():
    # z = 1.959964: centre (k + z^2 / 2) / (n + z^2), for 0 of n from 0 to z^2 / (n + z^2).
    low, high = wilson_interval(0, 10)
    assert low == pytest.approx(0, abs=1e-12)
    assert high == pytest.approx(3.841459 / 13.841459, abs=1e-6)
    with pytest.raises(ValueError, match=r"Received: successes=3, total=2"):
        wilson_interval(3, 2)


def test_the_command_prints_json_and_compares_two_models(localizer, photos, capsys):
    localizer.save(photos / "colours.keras")
    arguments = ["evaluate", "--data", str(photos), "--model", str(photos / "colours.keras")]
    assert cli.main([*arguments, "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["gt_known_accuracy"] == 2 / 3
    assert cli.main([*arguments, *arguments[-2:], "--limit", "2"]) == 0
    table = capsys.readouterr().out
    assert "McNemar" in table
    assert "gt known accuracy" in table


def test_choe2020_takes_the_threshold_that_is_best_on_these_images(localizer, photos):
    evaluation = evaluate(localizer, read_annotations(photos), "choe2020")
    figures = evaluation.to_dict()
    assert figures["oracle"] is True
    assert figures["gt_known_accuracy"] == pytest.approx(figures["max_box_acc"]["value"])
    assert figures["single_object_gt_known"] == figures["gt_known_accuracy"]
    assert figures["several_objects_gt_known"] is None
    # The third photo is taken for another class, wherever its box is.
    names = ("classification_top1_error", "gt_known_accuracy", "localization_top1_error")
    wrong, found, error = (np.array(evaluation.outcomes[name]) for name in names)
    assert error.tolist() == [*((found[:3] == 0) | (wrong[:3] == 1)).astype(int), -1]
    assert figures["mean_iou"] is None


def test_markdown_and_latex_tables_are_for_papers(localizer, photos, capsys):
    localizer.save(photos / "colours.keras")
    arguments = ["evaluate", "--data", str(photos), "--model", str(photos / "colours.keras")]
    assert cli.main([*arguments, "--format", "markdown"]) == 0
    markdown = capsys.readouterr().out
    assert "| gt known accuracy" in markdown
    assert "66.7% [20.8%, 93.9%]" in markdown
    assert cli.main([*arguments, *arguments[-2:], "--format", "latex"]) == 0
    latex = capsys.readouterr().out
    assert "\\toprule" in latex
    assert "66.7\\% [20.8\\%, 93.9\\%]" in latex
    assert "p (McNemar)" in latex


def figures_of(evaluation):
    return {**evaluation.to_dict(), "images_per_second": None}


@pytest.mark.parametrize("protocol", ["zhou2016", "choe2020"])
def test_slices_add_up_to_the_whole(localizer, photos, tmp_path, monkeypatch, protocol):
    monkeypatch.setattr(result_parts, "PART_SIZE", 2)
    (photos / "1.png").write_bytes(b"no photo")
    annotated, computed = read_annotations(photos), []
    parts = ResultParts(tmp_path / "parts", "colours")
    whole, seen = [], []
    expected = evaluate(localizer, annotated, protocol, on_result=whole.append, batch_size=2)
    for number in (2, 1):
        part = evaluate(localizer, annotated, protocol, batch_size=2, parts=replace(parts, slice=(number, 2)))
        assert part.images + len(part.failures) == 2
    monkeypatch.setattr("keras_cam.evaluation.run._results", lambda *args, **options: computed.append(args))
    found = evaluate(localizer, annotated, protocol, on_result=seen.append, batch_size=2, parts=parts)
    assert figures_of(found) == figures_of(expected)
    assert found.failures == expected.failures != []
    assert computed == []
    for one, other in zip(seen, whole, strict=True):
        for field in fields(other) if other else ():
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_results_of_other_data_and_broken_parts_do_not_count(localizer, photos, tmp_path):
    parts = ResultParts(tmp_path / "parts", "colours")
    expected = figures_of(evaluate(localizer, read_annotations(photos), parts=parts))
    [file] = (tmp_path / "parts").iterdir()
    file.write_text(file.read_text()[:-9])
    assert figures_of(evaluate(localizer, read_annotations(photos), parts=parts)) == expected
    evaluate(localizer, read_annotations(photos)[:3], parts=parts)
    evaluate(localizer, read_annotations(photos), parts=replace(parts, key="other"))
    assert len(list((tmp_path / "parts").iterdir())) == 3


def test_the_command_evaluates_in_slices(localizer, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(result_parts, "PART_SIZE", 2)
    localizer.save(tmp_path / "colours.keras")
    command = ["evaluate", "--data", str(photos), "--model", str(tmp_path / "colours.keras")]
    command += ["--batch-size", "2", "--runtime", "tensorflow"]
    assert cli.main([*command, "--slice", "1/2"]) == 2
    assert "--slice goes with --parts, and without --output" in capsys.readouterr().err
    assert cli.main([*command, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    command += ["--parts", str(tmp_path / "parts")]
    assert cli.main([*command, "--slice", "2/2"]) == 0
    assert capsys.readouterr().out.endswith(f"results of 2 images: {tmp_path / 'parts'}\n")
    assert cli.main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {**found, "images_per_second": 0} == {**expected, "images_per_second": 0}


def test_the_results_are_a_row_for_each_image_the_figures_and_a_page(localizer, photos, tmp_path, capsys):
    localizer.save(photos / "colours.keras")
    (photos / "1.png").write_bytes(b"broken")
    arguments = ["evaluate", "--data", str(photos), "--model", str(photos / "colours.keras"), "--json"]
    assert cli.main([*arguments, "--output", str(tmp_path / "results")]) == 1  # one image is broken
    [printed] = map(json.loads, capsys.readouterr().out.splitlines())
    assert sorted(file.name for file in (tmp_path / "results").iterdir()) == [
        "figures.json", "images.csv", "results.html",
    ]  # fmt: skip
    [written] = json.loads((tmp_path / "results" / "figures.json").read_text())
    assert written == printed
    with open(tmp_path / "results" / "images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["0", "2", "3"]
    assert rows[0]["class"] == rows[0]["predicted"] == "green"
    assert rows[0]["gt_known_accuracy"] == "1"
    assert float(rows[0]["iou"]) > 0.5
    assert rows[2]["iou"] == rows[2]["gt_known_accuracy"] == ""  # it has no boxes
    page = (tmp_path / "results" / "results.html").read_text()
    assert page.count("data:image/jpeg;base64") == 4  # both images with boxes, twice
    assert "<svg" in page
    assert "blue, taken for red" in page
    assert not re.search(r'(src|href)="http', page)  # all that it shows is inside


@pytest.mark.parametrize("name", ["$\\frac{$.keras", "\udcff\udce9.keras", "\u4e2d\u6587 %\x01.keras"])
def test_any_name_of_a_model_may_be_on_the_page(localizer, photos, tmp_path, name):
    evaluations = [evaluate(localizer, read_annotations(photos), model_name=name)]
    with results_folder(tmp_path / "results", evaluations, name) as results:
        evaluate(localizer, read_annotations(photos)[:1], on_result=lambda one: results.add(name, one))
        (photos / "0.png").unlink()
    page = (tmp_path / "results" / "results.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "data:image" not in page  # the only image is gone


def test_a_page_that_fails_costs_neither_figures_nor_table(localizer, photos, tmp_path, monkeypatch, capsys):
    def failing(*_):
        raise RuntimeError("no\nfont")

    monkeypatch.setattr("keras_cam.evaluation.folder.results_page", failing)
    localizer.save(tmp_path / "colours.keras")
    results = tmp_path / "results"
    results.mkdir()
    (results / "results.html").write_text("of yesterday")
    command = ["evaluate", "--data", str(photos), "--model", str(tmp_path / "colours.keras"), "--json"]
    assert cli.main([*command, "--output", str(results)]) == 1
    captured = capsys.readouterr()
    assert sorted(file.name for file in results.iterdir()) == ["figures.json", "images.csv"]
    assert json.loads(captured.out) == json.loads((results / "figures.json").read_text())[0]
    assert captured.err.splitlines()[-1].startswith("keras-cam: ")
    assert captured.err.endswith(f"results.html cannot be made: no font. The figures are in {results}\n")


def test_an_interrupted_evaluation_leaves_no_results(localizer, photos, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_cam.evaluation.run.evaluate", interrupted)
    localizer.save(photos / "colours.keras")
    arguments = ["evaluate", "--data", str(photos), "--model", str(photos / "colours.keras")]
    assert cli.main([*arguments, "--output", str(tmp_path / "results")]) == 130
    assert list((tmp_path / "results").iterdir()) == []


def test_the_command_says_what_is_wrong(photos, capsys):
    assert cli.main(["evaluate", "--data", str(photos / "missing")]) == 2
    assert "missing" in capsys.readouterr().err
    assert cli.main(["evaluate", "--data", str(photos), "--model", "vgg16_gap"]) == 2
    assert 'has no weights="imagenet"' in capsys.readouterr().err


@pytest.fixture(scope="module")
def refining():
    """As `localizer`, but its maps are refined: spread over pixels of one colour."""
    images = keras.Input((64, 64, 3))
    copied = keras.layers.Conv2D(3, 1, use_bias=False)(keras.layers.Rescaling(1 / 255)(images))
    fine = keras.layers.AveragePooling2D(4, name="fine")(copied)
    coarse = keras.layers.AveragePooling2D(2, name="coarse")(fine)
    features = keras.layers.AveragePooling2D(2)(coarse)
    logits = keras.layers.Dense(3, use_bias=False)(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(images, logits)
    model.layers[2].set_weights([np.eye(3, dtype="float32")[None, None]])
    model.layers[-1].set_weights([10 * np.eye(3, dtype="float32")])
    return keras_cam.build_localizer(model, top_k=3, refine="affinity", taps=["fine", "coarse"])


@pytest.fixture(scope="module")
def exported(refining, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    paths = {name: folder / name for name in ("saved_model", "cam.tflite", "cam.onnx")}
    labels = list(COLOURS)
    keras_cam.export.save_saved_model(refining, paths["saved_model"] / "1", labels)
    keras_cam.export.save_litert(refining, paths["cam.tflite"], labels)
    keras_cam.export.save_onnx(refining, paths["cam.onnx"], labels)
    return paths


@pytest.mark.parametrize(
    ("name", "protocol"),
    [("saved_model", "zhou2016"), ("cam.onnx", "choe2020"), *(("cam.tflite", one) for one in PROTOCOLS)],
)
def test_an_exported_localizer_has_the_figures_of_the_model(refining, photos, exported, name, protocol):
    annotated = read_annotations(photos)
    figures, of_file = (evaluate(one, annotated, protocol).to_dict() for one in (refining, exported[name]))
    del figures["images_per_second"], of_file["images_per_second"]
    assert of_file.pop("mean_iou") == pytest.approx(figures.pop("mean_iou"), abs=1e-5)
    assert of_file == figures


def in_another_order(photos, **renamed):
    """The same data with the categories in alphabetical order, and other names for some of them."""
    path = photos / "annotations.json"
    document = json.loads(path.read_text())
    names = sorted(category["name"] for category in document["categories"])
    new_ids = {category["id"]: names.index(category["name"]) for category in document["categories"]}
    document["categories"] = [{"id": i, "name": renamed.get(name, name)} for i, name in enumerate(names)]
    for annotation in document["annotations"]:
        annotation["category_id"] = new_ids[annotation["category_id"]]
    path.write_text(json.dumps(document))
    return photos


@pytest.mark.parametrize("name", ["saved_model", "cam.tflite", "cam.onnx", "keras"])
def test_classes_are_compared_by_name_whatever_their_order(refining, photos, exported, name):
    labels = tuple(COLOURS)
    expected = evaluate(exported["cam.onnx"], read_annotations(photos))
    model = load_localizer(exported.get(name, refining))
    model.labels = labels  # those that the files have
    found = evaluate(model, read_annotations(in_another_order(photos)))
    assert not expected.remark
    assert found.remark == (
        "Classes are matched by name: 'blue', class 0 of the data, is class 2 of the model."
    )
    assert found.class_names == labels
    assert found.to_dict()["intervals"] == expected.to_dict()["intervals"]
    with pytest.raises(ValueError, match="1 of these are not one class of it: 'pink'"):
        evaluate(model, read_annotations(in_another_order(photos, red="pink"))[:1])


def test_unknown_classes_are_refused_and_others_are_said_to_be_matched(localizer, photos, tmp_path, capsys):
    command = ["evaluate", "--data", str(photos), "--json", "--output", str(tmp_path / "results")]
    assert cli.main([*command, "--limit", "1"]) == 2
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert "a model of 1000 classes, and data of 3; 3 of these are not one class" in line
    localizer.save(tmp_path / "nameless.keras")
    assert cli.main([*command, "--model", str(tmp_path / "nameless.keras")]) == 0
    assert "The model does not name its classes" in capsys.readouterr().err


def test_the_maps_that_are_judged_are_those_of_the_protocol(refining, photos):
    """Refined ones, unless the protocol is defined on class activation maps."""
    image = read_annotations(photos)[:1]
    pixels = image[0].read()[None].astype("float32")
    found = load_localizer(refining).cam(pixels, [[image[0].label]])
    results = []
    for protocol in PROTOCOLS:
        evaluate(refining, image, protocol, on_result=results.append)
    for protocol, result in zip(PROTOCOLS, results, strict=True):
        refined = protocol in ("zhou2016", "choe2020")
        maps = found["localization_maps" if refined else "class_activation_maps"]
        np.testing.assert_allclose(result.activation_map, maps[0, 0], atol=1e-6)
    own = found["detection_boxes"][0, :, [1, 0, 3, 2]].T * 64
    np.testing.assert_allclose(results[0].boxes_xyxy, own, atol=1e-4)
    assert len(results[-1].boxes_xyxy) == 0  # of choe2020, whose threshold is not known yet


class WholeImage(Protocol):
    """A protocol of a user: every class is all over the image."""

    name, summary = "whole", "a box around everything"

    def boxes(self, found):
        classes = 1 + found["predicted"].shape[1]
        return np.tile([0.0, 0.0, 1.0, 1.0], (len(found["predicted"]), classes, 1, 1))

    def figures(self, outcomes):
        right = [1 - wrong for wrong in outcomes["classification_top1_error"]]
        return {**outcomes, "classification_accuracy": right}


def test_a_protocol_of_ones_own(localizer, photos):
    results = []
    evaluation = evaluate(localizer, read_annotations(photos), WholeImage(), on_result=results.append)
    figures = evaluation.to_dict()
    assert figures["protocol"] == "whole"
    assert figures["gt_known_accuracy"] == figures["full_image_gt_known"] == 0
    assert figures["mean_iou"] == pytest.approx((40 * 40 + 16 * 16 + 64 * 8) / 64**2 / 3)
    assert results[0].boxes_xyxy.tolist() == [[0, 0, 64, 64]]
    assert figures["classification_accuracy"] == 3 / 4
    assert figures["intervals"]["classification_accuracy"] == wilson_interval(3, 4)
    _, rows = evaluation_table([evaluation])
    assert "classification accuracy" in [row[0] for row in rows]


def test_the_table_of_protocols_needs_no_keras():
    code = """
import sys
from keras_cam.evaluation.protocols import PROTOCOLS
assert all(name == protocol.name and protocol.summary for name, protocol in PROTOCOLS.items())
print(sorted({"keras", "tensorflow", "cv2", "scipy", "numba"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_rules_of_the_paper_are_for_maps_that_are_not_refined(photos, capsys):
    command = ["evaluate", "--data", str(photos), "--protocol", "zhou2016_test", "--refine"]
    for refine in ("affinity", "auto", "C"):
        assert cli.main([*command, refine]) == 2
        assert f"--refine {refine} does not go with --protocol zhou2016_test" in capsys.readouterr().err


def test_the_rules_of_the_paper_build_localizers_that_do_not_refine(photos, tmp_path, randomize, capsys):
    layers = [keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu") for _ in range(5)]
    ending = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    model = randomize(keras.Sequential([keras.Input((128, 128, 3)), *layers, *ending]))
    model.save(tmp_path / "classifier.keras")
    keras_cam.build_localizer(model, refine="none").save(tmp_path / "plain.keras")
    keras_cam.build_localizer(model).save(tmp_path / "refining.keras")
    figures = {}
    for name in ("classifier", "plain", "refining"):
        command = ["evaluate", "--data", str(photos), "--json", "--model", str(tmp_path / f"{name}.keras")]
        for protocol in ("zhou2016", "zhou2016_released"):
            assert cli.main([*command, "--protocol", protocol]) == 0
            found = json.loads(capsys.readouterr().out)
            figures[name, protocol] = found["mean_iou"]
    assert figures["classifier", "zhou2016"] == figures["refining", "zhou2016"]
    assert figures["classifier", "zhou2016"] != figures["plain", "zhou2016"]
    assert figures["classifier", "zhou2016_released"] == figures["plain", "zhou2016_released"]


def judged_dataset(annotated, size_hw):
    """What docs/evaluation.md makes of a data set, for `model.evaluate`."""
    return to_dataset(annotated, size_hw, batch_size=3).map(
        lambda batch: (
            batch["images"],
            {
                "labels": batch["labels"],
                "classes": batch["box_labels"],
                "boxes": batch["boxes_yxyx"],
                "sizes_wh": batch["sizes_wh"],
            },
        )
    )


METRICS = {
    "classification_top1_error": ClassificationError(top_k=1),
    "localization_top1_error": LocalizationError(top_k=1),
    "localization_top2_error": LocalizationError(top_k=2),
    "gt_known_accuracy": GTKnownLocalization(),
    "mean_iou": MeanBoxIoU(),
    "pointing_game": PointingGame(),
    "max_box_acc": MaxBoxAcc(),
    "max_box_acc_v2": MaxBoxAccV2(),
}


@pytest.mark.parametrize("which", ["localizer", "refining"])
def test_keras_gives_the_figures_of_evaluate(which, photos, request):
    model, annotated = request.getfixturevalue(which), read_annotations(photos)
    expected = evaluate(model, annotated, top_k=2).to_dict()
    model.compile(metrics=list(METRICS.values()))
    figures = model.evaluate(judged_dataset(annotated, model.input_shape[1:3]), verbose=0, return_dict=True)
    assert figures.keys() == {metric.name for metric in METRICS.values()}
    for name, metric in METRICS.items():
        value = expected[name]["value"] if name.startswith("max_box") else expected[name]
        assert figures[metric.name] == pytest.approx(value, abs=1e-6), name


def test_a_compiled_localizer_is_saved_and_cloned_with_its_metrics(localizer, photos, tmp_path):
    dataset = judged_dataset(read_annotations(photos), (32, 32))
    localizer.compile(metrics=[LocalizationError(top_k=1), MaxBoxAccV2()])
    figures = localizer.evaluate(dataset, verbose=0, return_dict=True)
    localizer.save(tmp_path / "compiled.keras")
    for other in (keras.models.load_model(tmp_path / "compiled.keras"), keras.models.clone_model(localizer)):
        other.set_weights(localizer.get_weights())
        assert isinstance(other, LocalizerModel)
        assert other.evaluate(dataset, verbose=0, return_dict=True) == figures


def test_a_localizer_can_be_compiled_again_and_as_any_other_model(localizer):
    localizer = keras.models.clone_model(localizer)
    images, truth = np.zeros((2, 32, 32, 3)), {"classes": [[1]] * 2, "boxes": [[[0.0, 0.0, 1.0, 1.0]]] * 2}
    truth = {name: np.array(values) for name, values in truth.items()}
    localizer.compile(metrics=[ClassificationError(top_k=3)])
    localizer.compile(metrics=[ClassificationError(top_k=2), ClassificationError(top_k=1)])
    figures = localizer.evaluate(images, truth, verbose=0, return_dict=True)
    assert figures == {"classification_error_top2": 0, "classification_error_top1": 1}
    # A loss and a metric of single outputs.
    localizer.compile(loss={"detection_scores": "mse"}, metrics={"detection_scores": "mae"})
    targets = {name: np.zeros(value.shape) for name, value in localizer(images).items()}
    figures = localizer.evaluate(images, targets, verbose=0, return_dict=True)
    assert figures["detection_scores_mae"] == pytest.approx(1 / 3)
    assert figures["loss"] == pytest.approx(1 / 9)
    with pytest.raises(ValueError, match=r"`metrics` .* must be a list of .* metrics=\['accuracy'\]"):
        localizer.compile(metrics=["accuracy"])


def test_a_localizer_that_was_evaluated_can_still_be_saved(localizer, photos, tmp_path):
    for _ in range(2):
        evaluate(localizer, read_annotations(photos)[:1])
    localizer.save(tmp_path / "evaluated.keras")
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    again = keras.models.load_model(tmp_path / "evaluated.keras")(pixels)
    for name, values in localizer(pixels).items():
        np.testing.assert_array_equal(again[name], values)


def test_fewer_predictions_may_count(localizer, photos):
    figures = evaluate(localizer, read_annotations(photos), top_k=2).to_dict()
    assert figures["classification_top2_error"] == 0
    assert "classification_top5_error" not in figures
    only = evaluate(localizer, read_annotations(photos), top_k=1).to_dict()
    assert only["classification_top1_error"] == 1 / 4
    with pytest.raises(ValueError, match=r"`top_k` must be at least 1\. Received: top_k=0"):
        evaluate(localizer, read_annotations(photos), top_k=0)


def test_a_batch_of_broken_images_does_not_end_the_others(localizer, photos):
    for name in ("0.png", "1.png"):
        (photos / name).write_bytes(b"no image")
    for protocol in ("zhou2016", "zhou2016_released"):
        evaluation = evaluate(localizer, read_annotations(photos), protocol, batch_size=2)
        assert (evaluation.images, len(evaluation.failures)) == (2, 2)
