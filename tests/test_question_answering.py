"""Questions about images: VQA's files, its accuracy, and answers about drawn shapes that point at them."""

import contextlib
import io
import json

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

import keras_cam
from keras_cam.applications.discovery.answerer import build_answer_localizer
from keras_cam.applications.discovery.answerer_training import most_frequent_answers, train_answerer
from keras_cam.applications.discovery.question_answering import (
    EVERY_QUESTION,
    answer_questions,
    judge_answers,
)
from keras_cam.applications.discovery.vqa_json import normalized_answer, read_questions, vqa_accuracy
from keras_cam.applications.features import backbone_of
from keras_cam.cli import main as cli
from keras_cam.data import AnnotationError
from keras_cam.inference.records import FailedImage
from keras_cam.models.labels import labels_of


@pytest.fixture(scope="module")
def learned(shapes, tmp_path_factory):
    """The model's file and the figures that the command printed."""
    file, output = tmp_path_factory.mktemp("learned") / "shapes.keras", io.StringIO()
    command = ["vqa", "--data", str(shapes), "--split", "train", "--validation-split", "val", "--json"]
    with contextlib.redirect_stdout(output):
        assert cli.main([*command, "--layer", "block11_expand_relu", "--output", str(file)]) == 0
    return file, json.loads(output.getvalue())


def write_questions(folder, annotations, split="val2014", **about):
    """One question for each annotation, and its image."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    questions = []
    for number, annotation in enumerate(annotations, 1):
        Image.new("RGB", (64, 48), "navy").save(folder / split / f"COCO_{split}_{number:012d}.jpg")
        questions.append({"question_id": number, "image_id": number, "question": f"Is it {number}?"})
        annotation.setdefault("question_id", number)
    about = {"data_type": "mscoco", "data_subtype": split, **about}
    for name, content in (
        (f"v2_OpenEnded_mscoco_{split}_questions.json", {**about, "questions": questions}),
        (f"v2_mscoco_{split}_annotations.json", {**about, "annotations": annotations}),
    ):
        (folder / name).write_text(json.dumps(content))


def said(*answers):
    return [{"answer": answer, "answer_id": person} for person, answer in enumerate(answers, 1)]


def test_questions_are_read_as_vqa_publishes_them(tmp_path):
    annotations = [
        {"multiple_choice_answer": "Two", "answers": said("two", "2", "Three.")},
        {"answers": said("a cat", "dog", "Cat"), "bbox": [4, 8, 10, 20]},
        {"answers": []},
        {"answers": said("lost"), "question_id": 99},
    ]
    write_questions(tmp_path, annotations)
    (tmp_path / "v2_MultipleChoice_mscoco_val2014_questions.json").write_text('{"questions": []}')
    questions = read_questions(tmp_path, "val2014")
    one, two = questions.questions
    assert (one.text, one.answer, one.answers, one.box_xyxy) == ("Is it 1?", "2", ("2", "2", "3"), None)
    assert (two.answer, two.box_xyxy) == ("cat", (4, 8, 14, 28))
    assert questions.images[two.image].image == str(tmp_path / "val2014" / "COCO_val2014_000000000002.jpg")
    assert [problem.item for problem in questions.images.problems] == [
        "question number 2",
        "question number 3",
    ]


def test_abstract_scenes_have_names_of_their_own(tmp_path):
    write_questions(tmp_path, [{"answers": said("yes")}], "train2015", data_type="abstract_v002")
    with pytest.raises(AnnotationError, match=r"There is no usable image in .*1 missing file"):
        read_questions(tmp_path, "train2015")
    Image.new("RGB", (8, 8)).save(tmp_path / "abstract_v002_train2015_000000000001.png")
    [question] = read_questions(tmp_path, "train2015").questions
    assert question.answer == "yes"


def test_what_is_no_vqa_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match=r"one file \*val_questions.json in .*Received: none"):
        read_questions(tmp_path, "val")
    (tmp_path / "val_questions.json").write_text("[1]")
    with pytest.raises(AnnotationError, match="with a list of objects `questions`"):
        read_questions(tmp_path, "val")
    (tmp_path / "val_questions.json").write_text("{")
    with pytest.raises(AnnotationError, match=r"Cannot read .*val_questions.json as JSON"):
        read_questions(tmp_path, "val")


@pytest.mark.parametrize(("agreeing", "accuracy"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_the_accuracy_is_that_of_vqa(agreeing, accuracy):
    # Of ten people, leaving out one after the other: min(1, agreeing / 3), or one less for those who agree.
    assert vqa_accuracy("red", ["red"] * agreeing + ["blue"] * (10 - agreeing)) == pytest.approx(accuracy)


def test_answers_are_compared_without_what_does_not_matter():
    assert normalized_answer("  The  TWO dogs!! ") == "2 dogs"
    assert normalized_answer("none") == "0"
    assert normalized_answer("don't") == "don't"
    assert normalized_answer("10:30") == "10:30"


def test_shapes_are_answered_and_pointed_at(learned):
    _, figures = learned
    assert figures["questions"] > 200
    assert figures["accuracy"] >= 0.95
    assert figures["pointing"] >= 0.9
    # Neither the words nor the image can do it alone.
    assert figures["words_only"] < 0.5
    assert figures["image_only"] < 0.6


def test_what_image_and_words_say_adds_up_to_the_answer(learned, shapes):
    model = keras.models.load_model(learned[0])
    questions = read_questions(shapes, "val")
    images = [questions.images[question.image] for question in questions.questions[:6]]
    texts = [question.text for question in questions.questions[:6]]
    pixels = np.stack([np.array(Image.fromarray(image.read()).resize((224, 224))) for image in images])
    inputs = {"images": ops.convert_to_tensor(pixels, "float32"), "questions": ops.convert_to_tensor(texts)}
    logits = ops.convert_to_numpy(model(inputs))
    found = build_answer_localizer(model, top_k=len(labels_of(model)))(inputs)
    found = {key: ops.convert_to_numpy(value) for key, value in found.items()}
    parts = found["image_logits"] + found["word_logits"]
    np.testing.assert_allclose(parts, logits - logits.mean(axis=1, keepdims=True), atol=1e-4)
    np.testing.assert_allclose(
        found["detection_scores"][:, 0], ops.softmax(logits).numpy().max(axis=1), atol=1e-5
    )
    # The mean of an answer's map is what the image says for it, but for a number that all images share, and
    # for what is subtracted from all answers of an image.
    order = found["detection_classes"].argsort(axis=1)
    means = np.take_along_axis(found["class_activation_maps"].mean(axis=(2, 3)), order, axis=1)
    shared = found["image_logits"] - (means - means.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(shared, np.broadcast_to(shared[0], shared.shape), atol=1e-3)


def test_each_word_has_its_part_in_the_answer(learned, shapes):
    model = keras.models.load_model(learned[0])
    photo = next((shapes / "val").iterdir())
    asked = [(photo, "What colour is the square?"), (shapes / "lost.png", "Is it?"), (photo, "Zebra?")]
    one, lost, unknown = answer_questions(model, asked, top_k=9)
    assert isinstance(lost, FailedImage)
    assert "lost.png" in lost.error
    assert one.word_logits[0].keys() == {"what", "colour", "is", "the", "square", EVERY_QUESTION}
    assert unknown.word_logits[0].keys() == {"[UNK]", EVERY_QUESTION}
    labels = [detection.label for detection in one.localization.detections]
    assert sorted(labels) == sorted(labels_of(model))
    logits = [
        image + sum(words.values()) for image, words in zip(one.image_logits, one.word_logits, strict=True)
    ]
    scores = np.exp(logits) / np.exp(logits).sum()
    expected = [detection.score for detection in one.localization.detections]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    colours = {"red", "green", "blue", "yellow"}
    by_answer = dict(zip(labels, one.word_logits, strict=True))
    assert all((words["colour"] > 0) == (label in colours) for label, words in by_answer.items())


def test_a_photo_is_asked_from_the_command_line(learned, shapes, tmp_path, capsys):
    photo = str(next((shapes / "val").iterdir()))
    picture = tmp_path / "new" / "answers.png"
    ask = ["ask", photo, "What shape is black?", "How do the stripes run?", "--model", str(learned[0])]
    assert cli.main([*ask, "--output", str(picture)]) == 0
    assert "What shape is black?" in capsys.readouterr().out
    with Image.open(picture) as shown:
        assert shown.size == (996, 384)  # two cells side by side
    assert cli.main([*ask, "--json", "--top-k", "2"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["question"] for line in lines] == ["What shape is black?", "How do the stripes run?"]
    assert [len(line["answers"]) for line in lines] == [2, 2]
    assert set(lines[0]["answers"][0]) == {"answer", "score", "box_xyxy", "image_logit", "word_logits"}


def test_wrong_use_is_refused(learned, shapes, tmp_path, capsys):
    classifier = tmp_path / "classifier.keras"
    keras_cam.build_model("efficientnet_lite0", input_shape=(32, 32, 3), classes=2).save(classifier)
    photo = str(next((shapes / "val").iterdir()))
    for command, message in (
        (["ask", photo, "What?", "--model", "lost.keras"], "must be a file that `keras-cam vqa` wrote"),
        (["ask", photo, "What?", "--model", str(classifier)], "must be a model from"),
        (["ask", "lost.png", "What?", "--model", str(learned[0])], "lost.png"),
        (["ask", photo, "What?", "--model", str(learned[0]), "--output", "a.jpg"], "must end in .png"),
        (["vqa", "--data", str(tmp_path), "--output", "a.keras"], "There must be one file"),
        (["vqa", "--data", str(shapes), "--split", "val", "--answers", "1", "--output", "a.keras"], "two"),
    ):
        assert cli.main(command) == 2
        assert message in capsys.readouterr().err


def test_images_that_cannot_be_read_cost_only_their_questions(tmp_path):
    answers = [{"multiple_choice_answer": answer, "answers": said(answer)} for answer in "xyxyxyz"]
    write_questions(tmp_path, answers)
    (tmp_path / "val2014" / "COCO_val2014_000000000003.jpg").write_bytes(b"no image")
    questions = read_questions(tmp_path, "val2014")
    assert most_frequent_answers(questions, 2) == ("x", "y")
    backbone = backbone_of(keras_cam.build_model("efficientnet_lite0", input_shape=(32, 32, 3)))
    trained = train_answerer(backbone, questions, answers=2, epochs=1)
    assert trained.questions == 5
    assert labels_of(trained.model) == ("x", "y")
    assert len(trained.failures) == 1
    assert "000000000003" in trained.failures[0]
    figures = judge_answers(trained.model, questions)
    assert (figures.questions, figures.pointing) == (6, None)
    assert figures.failures == trained.failures
    write_questions(tmp_path, [{"multiple_choice_answer": "z", "answers": said("z")}] * 7)
    with pytest.raises(ValueError, match=r"must be among those of the model.*none of its 2 answers"):
        judge_answers(trained.model, read_questions(tmp_path, "val2014"))
