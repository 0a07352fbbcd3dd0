"""Concepts from folders and captions; and a text detector, judged on words, fonts and photos it never saw."""

import json
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from keras_cam.applications.discovery.concepts import images_in, learn_concept, ranked, read_captions
from keras_cam.applications.features import backbone_of
from keras_cam.cli import main as cli
from keras_cam.data import AnnotatedImage, AnnotatedImages, AnnotationError, read_annotations
from keras_cam.metrics import box_ious
from keras_cam.metrics.pointing_game import highest_point_xy
from keras_cam.models.labels import labels_of

RENDER = Path(__file__).parent.parent / "examples" / "rendered_text.py"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    runpy.run_path(str(RENDER))["main"](str(folder), pictures=60)
    return folder


def test_a_text_detector_points_at_text_it_never_saw(photos, tmp_path, capsys):
    detector, train = tmp_path / "text.keras", photos / "train"
    examples = ["--positives", str(train / "with"), "--negatives", str(train / "without"), "--name", "text"]
    test = ["--photos", str(photos / "test"), "--gallery", str(tmp_path / "best.png"), "--top", "4"]
    command = ["concept", *examples, "--layer", "block10_add", "--output", str(detector), *test]
    assert cli.main(command) == 0
    assert "Detector: " in capsys.readouterr().out
    with Image.open(tmp_path / "best.png") as gallery:
        assert gallery.size == (996, 756)

    judge = ["evaluate", "--model", str(detector), "--data", str(photos / "test"), "--split", "test"]
    capsys.readouterr()
    assert cli.main([*judge, "--refine", "affinity", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["pointing_game"] >= 0.9
    assert figures["mean_iou"] >= 0.5

    classifier = keras.models.load_model(detector)
    assert labels_of(classifier) == ("text",)
    truth = {image.image: image.boxes_xyxy[0] for image in read_annotations(photos / "test", "test")}
    records, failures = ranked(classifier, [photos / "test"])
    assert failures == []
    assert len(records) == 2 * len(truth)
    best = [record.image in truth for record in records[: len(truth)]]
    assert np.mean(best) >= 0.75
    pointed, ious = [], []
    for record in records:
        if record.image in truth:
            [detection] = record.detections
            x, y = highest_point_xy(detection.activation_map, (record.width, record.height))
            left, top, right, bottom = truth[record.image]
            pointed.append(left <= x <= right and top <= y <= bottom)
            ious.append(float(np.asarray(box_ious([detection.box_xyxy], truth[record.image][None]))[0, 0]))
    assert np.mean(pointed) >= 0.9
    assert np.mean(ious) >= 0.5


def squares(folder, colours):
    folder.mkdir()
    for number, colour in enumerate(colours):
        picture = Image.new("RGB", (64, 64), "grey")
        picture.paste(colour, (8, 8, 40, 40))
        picture.save(folder / f"{number}.png")
    return images_in(folder)


def test_negatives_that_are_hard_are_added_until_none_is_left(tmp_path):
    backbone = backbone_of(
        keras_cam.build_model("efficientnet_lite0", weights="imagenet", input_shape=(64, 64, 3))
    )
    reds = squares(tmp_path / "red", [(200 + 5 * i, 20, 20) for i in range(6)])
    others = squares(
        tmp_path / "other", ["blue", "green", "white", "black", (180, 90, 20), (150, 20, 90)] * 5
    )
    concept = learn_concept(backbone, reds, others, "red", seed=1)
    assert concept.negatives[0] == len(reds)
    assert list(concept.negatives) == sorted(concept.negatives)
    assert concept.negatives[-1] <= len(others)
    (tmp_path / "new").mkdir()
    squares(tmp_path / "new" / "a", [(215, 30, 25)])
    squares(tmp_path / "new" / "b", ["navy", "olive"])
    records, _ = ranked(concept.classifier, [tmp_path / "new"])
    assert "/a/" in records[0].image
    with pytest.raises(ValueError, match=r"at least two readable positives\. Received: 1"):
        learn_concept(backbone, AnnotatedImages("one", ("image",), reds.images[:1]), others)
    missing = AnnotatedImage("x", str(tmp_path / "x.png"), 0, (0,))
    some = AnnotatedImages("some", ("image",), (*reds.images, missing))
    assert "x.png" in learn_concept(backbone, some, others, cost=1e-3).failures[0]


def test_captions_make_positives_by_whole_words(tmp_path):
    rows = ["image,caption", "a.jpg,A RED-car parks", "b.jpg,red carpet", "c.jpg,no car", "c.jpg,my red car!"]
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    positives, negatives = read_captions(tmp_path / "captions.csv", "red car")
    assert [image.name for image in positives] == ["a.jpg", "c.jpg"]
    assert [image.name for image in negatives] == ["b.jpg"]
    with pytest.raises(AnnotationError, match=r"There must be an image in .*with the phrase"):
        read_captions(tmp_path / "captions.csv", "blue")
    (tmp_path / "wrong.csv").write_text("file,text\na.jpg,x\n")
    with pytest.raises(
        AnnotationError, match="must be CSV, TSV or JSON lines with the columns image and caption"
    ):
        read_captions(tmp_path / "wrong.csv", "x")


def test_captions_name_no_images_outside_of_their_folder(tmp_path):
    rows = ["image,caption", "a.jpg,a red car", "../b.jpg,a red car", "/c.jpg,no car", "d.jpg,no car"]
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    positives, negatives = read_captions(tmp_path / "captions.csv", "red car")
    assert [image.name for image in (*positives, *negatives)] == ["a.jpg", "d.jpg"]
    assert [problem.item for problem in negatives.problems] == ["image ../b.jpg", "image /c.jpg"]
    positives, negatives = read_captions(tmp_path / "captions.csv", "red car", allow_outside=True)
    assert [image.name for image in positives] == ["a.jpg", "../b.jpg"]
    assert not negatives.problems


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("csv", '\ufeffimage,caption\na.jpg,"a red, car"\nb.jpg,\n'),
        ("tsv", "image\tcaption\na.jpg\ta red, car\nb.jpg\tred carpet\n"),
        ("jsonl", '{"image": "a.jpg", "caption": "Red car"}\n\n{"image": "b.jpg", "caption": null}\n'),
    ],
)
def test_captions_come_as_tables_or_lines(tmp_path, suffix, text):
    (tmp_path / f"captions.{suffix}").write_text(text, encoding="utf-8")
    positives, negatives = read_captions(tmp_path / f"captions.{suffix}", "red car")
    assert [image.image for image in (*positives, *negatives)] == [
        str(tmp_path / "a.jpg"),
        str(tmp_path / "b.jpg"),
    ]
    with pytest.raises(ValueError, match=r"must have a word. Received: phrase=' \?'"):
        read_captions(tmp_path / f"captions.{suffix}", " ?")
    (tmp_path / f"wrong.{suffix}").write_text("[1]\n[2]\n")
    with pytest.raises(AnnotationError, match="with the columns image and caption"):
        read_captions(tmp_path / f"wrong.{suffix}", "red car")


def test_only_the_split_of_annotated_positives_is_learned(tmp_path, capsys):
    squares(tmp_path / "img", ["red", (220, 10, 10), (240, 30, 30), "blue"])
    squares(tmp_path / "others", ["blue", "navy", "teal", "green"])
    for split, numbers in (("train", (0, 1, 2)), ("test", (3,))):
        images = "".join(f"<image><imageName>img/{n}.png</imageName></image>" for n in numbers)
        (tmp_path / f"{split}.xml").write_text(f"<tagset>{images}</tagset>")
    command = ["concept", "--positives", str(tmp_path), "--split", "train", "--name", "red"]
    command += ["--negatives", str(tmp_path / "others"), "--output", str(tmp_path / "red.keras")]
    (tmp_path / "img" / "3.png").write_bytes(b"broken, but of the test")
    assert cli.main(command) == 0
    assert cli.main([argument for argument in command if argument not in ("--split", "train")]) == 1
    assert "3.png" in capsys.readouterr().err
    both = ["--captions", "a.csv", "--phrase", "x", "--split", "train", "--output", "x.keras"]
    assert cli.main(["concept", *both]) == 2
    assert "--split goes with --positives" in capsys.readouterr().err


def test_what_does_not_go_together_is_refused(tmp_path, capsys):
    output = ["--output", str(tmp_path / "x.keras")]
    assert cli.main(["concept", "--positives", "a", *output]) == 2
    assert "Either --positives and --negatives, or --captions and --phrase" in capsys.readouterr().err
    both = ["--positives", "a", "--negatives", "b"]
    assert cli.main(["concept", *both, *output, "--gallery", "x.png"]) == 2
    assert "--photos and --gallery go together" in capsys.readouterr().err
    assert cli.main(["concept", *both, "--output", "x.h5"]) == 2
    assert "--output must end in .keras" in capsys.readouterr().err


def test_street_view_text_is_read(tmp_path):
    Image.new("RGB", (100, 50)).save(tmp_path / "shop.jpg")
    word = '<taggedRectangle height="10" width="30" x="20" y="5"><tag>SHOP</tag></taggedRectangle>'
    broken = '<taggedRectangle height="10" width="x" x="20" y="5"/>'
    image = f"<imageName>shop.jpg</imageName><taggedRectangles>{word}{broken}</taggedRectangles>"
    (tmp_path / "test.xml").write_text(f"<tagset><image>{image}</image></tagset>")
    [shop] = annotated = read_annotations(tmp_path, "test")
    assert annotated.class_names == ("text",)
    assert shop.boxes_xyxy.tolist() == [[20, 5, 50, 15]]
    assert len(annotated.problems) == 1
    with pytest.raises(ValueError, match="`split` must be one of"):
        read_annotations(tmp_path, "val")
    with pytest.raises(AnnotationError, match=r"train.xml cannot be read"):
        read_annotations(tmp_path, "train")


@pytest.mark.parametrize("encoding", ["nonsense", "shift_jis"])
def test_an_xml_file_in_an_unknown_encoding_is_not_one_of_street_view_text(encoding, tmp_path):
    Image.new("RGB", (100, 50)).save(tmp_path / "train.jpg")
    (tmp_path / "train.xml").write_text(f'<?xml version="1.0" encoding="{encoding}"?><tagset/>')
    with pytest.raises(AnnotationError, match=r"train\.xml: unreadable annotation"):
        read_annotations(tmp_path)
