"""Answers to questions about images, with the contributions of the image and of each word, and with maps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cam.applications.discovery.answerer import build_answer_localizer, check_answerer
from keras_cam.applications.discovery.vqa_json import Questions, vqa_accuracy
from keras_cam.check_finite import check_finite
from keras_cam.drawing.pictures import display_size, draw_localization, gallery
from keras_cam.images.batches import read_batches
from keras_cam.images.files import read_reduced
from keras_cam.images.resize import input_size_hw
from keras_cam.inference.records import FailedImage, Localization, localizations
from keras_cam.metrics.pointing_game import highest_point_xy
from keras_cam.models.labels import labels_of
from keras_cam.recipes import THRESHOLD

EVERY_QUESTION = ""
"""The key, among the words of a question, of what is added to an answer for every question (the bias)."""


@dataclass(frozen=True, eq=False)
class AnsweredQuestion:
    """A question and its answers.

    Attributes:
        question: the question.
        localization: the answers as detections, best first, with their probabilities, maps and boxes.
        image_logits: for each answer, the contribution of the image to its logit, minus the mean over all
            answers.
        word_logits: for each answer, the same for each word of the question. "[UNK]" stands for words that
            are not in the vocabulary, `EVERY_QUESTION` for the bias.
    """

    question: str
    localization: Localization
    image_logits: tuple[float, ...]
    word_logits: tuple[Mapping[str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as JSON-ready values."""
        answers = [
            {
                "answer": detection.label,
                **{key: detection.to_dict()[key] for key in ("score", "box_xyxy")},
                "image_logit": round(image, 4),
                "word_logits": {word: round(value, 4) for word, value in words.items()},
            }
            for detection, image, words in zip(
                self.localization.detections, self.image_logits, self.word_logits, strict=True
            )
        ]
        return {"image": self.localization.image, "question": self.question, "answers": answers}


def answer_questions(
    answerer: keras.Model,
    asked: Sequence[tuple[str | Path, str]],
    top_k: int = 5,
    threshold: float = THRESHOLD,
    batch_size: int = 32,
) -> Iterator[AnsweredQuestion | FailedImage]:
    """Answer questions about image files.

    Args:
        answerer: the model of a `keras_cam.applications.discovery.answerer_training.TrainedAnswerer`.
        asked: pairs of an image file and a question.
        top_k: the number of answers.
        threshold: see `keras_cam.build_localizer`.
        batch_size: the number of questions in a batch.

    Yields:
        For each pair, in order, the answers, or a `FailedImage` if the image cannot be read.

    Raises:
        ValueError: if the model is not an answerer.
    """
    check_answerer(answerer)
    answers = labels_of(answerer)
    word_evidence = _WordEvidence(answerer)
    for (image, question), looked in zip(
        asked, _look(answerer, asked, top_k, threshold, batch_size), strict=True
    ):
        if isinstance(looked, str):
            yield FailedImage(str(image), looked)
            continue
        size_wh, outputs = looked
        rows = {key: value[None] for key, value in outputs.items()}
        [record] = localizations(rows, [str(image)], [size_wh], answers, answerer.name)
        chosen = [detection.class_id for detection in record.detections]
        words = word_evidence.of(question)
        said = [{word: float(logits[answer]) for word, logits in words.items()} for answer in chosen]
        yield AnsweredQuestion(question, record, tuple(outputs["image_logits"][chosen].tolist()), tuple(said))


def draw_answers(answered: Sequence[AnsweredQuestion]) -> np.ndarray:
    """Draw the best answer to each question, with map and box over the image.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: if an image cannot be read.
    """
    pictures = []
    for one in answered:
        best = one.localization.detections[0]
        asked = replace(best, label=f"{one.question} {best.label}")
        record = replace(one.localization, detections=(asked,))
        pictures.append(draw_localization(display_size(record.image, shortest=640), record))
    return gallery(pictures, columns=min(3, len(pictures)))


class _WordEvidence:
    """The contribution of each word to the logit of each answer, minus the mean over all answers."""

    def __init__(self, answerer: keras.Model):
        model = answerer.get_layer("word_evidence")
        self._bag_of_words = model.get_layer("bag_of_words")
        kernel, bias = model.get_layer("words").get_weights()
        vocabulary = self._bag_of_words.get_vocabulary()
        self._logits = dict(
            zip(map(str, vocabulary), kernel - kernel.mean(axis=1, keepdims=True), strict=True)
        )
        self._always = bias - bias.mean()

    def of(self, question: str) -> dict[str, np.ndarray]:
        """The contributions (N,) of each word of a question and, as `EVERY_QUESTION`, of the bias."""
        counts = ops.convert_to_numpy(self._bag_of_words([question]))[0]
        words = {
            word: count * self._logits[word]
            for word, count in zip(self._logits, counts, strict=True)
            if count
        }
        return {**words, EVERY_QUESTION: self._always}


@dataclass(frozen=True)
class AnswererFigures:
    """How well an answerer answers questions.

    Attributes:
        questions: the number of questions.
        accuracy: VQA's accuracy, in [0, 1], see `keras_cam.applications.discovery.vqa_json.vqa_accuracy`.
        words_only: the accuracy of the answers with the highest logits from the words alone.
        image_only: the accuracy of the answers with the highest logits from the image alone.
        pointing: the fraction of questions with a box for which the highest point of the answer's map is in
            that box; None if no question has a box.
        failures: error messages for images that could not be read. Their questions are left out.
    """

    questions: int
    accuracy: float
    words_only: float
    image_only: float
    pointing: float | None
    failures: tuple[str, ...]


def judge_answers(
    answerer: keras.Model,
    questions: Questions,
    batch_size: int = 32,
    on_question: Callable[[], None] = lambda: None,
) -> AnswererFigures:
    """Compare the answers of a model with those of people.

    Args:
        answerer: the model of a `keras_cam.applications.discovery.answerer_training.TrainedAnswerer`.
        questions: the questions with the answers of people.
        batch_size: the number of questions in a batch.
        on_question: called after each question.

    Returns:
        The figures.

    Raises:
        ValueError: if no image can be read, or nobody gave an answer that the model knows.
    """
    answers = labels_of(answerer) or ()
    given = {answer for question in questions.questions for answer in question.answers}
    if given.isdisjoint(answers):
        raise ValueError(
            "The answers of people must be among those of the model. Received: none of its "
            f"{len(answers)} answers, such as {list(answers[:3])}, to {len(questions.questions)} questions"
        )
    asked = [(questions.images[one.image].image, one.text) for one in questions.questions]
    right: dict[str, list[float]] = {"both": [], "words": [], "image": []}
    pointed, failures = [], []
    for question, looked in zip(
        questions.questions, _look(answerer, asked, 1, THRESHOLD, batch_size), strict=True
    ):
        on_question()
        if isinstance(looked, str):
            failures.append(looked)
            continue
        size_wh, outputs = looked
        logits = {"words": outputs["word_logits"], "image": outputs["image_logits"]}
        logits["both"] = logits["words"] + logits["image"]
        for kind, values in logits.items():
            right[kind].append(vqa_accuracy(answers[values.argmax()], question.answers))
        if question.box_xyxy is not None:
            x, y = highest_point_xy(outputs["class_activation_maps"][0], size_wh)
            left, top, end, bottom = question.box_xyxy
            pointed.append(left <= x < end and top <= y < bottom)
    if not right["both"]:
        raise ValueError(f"There must be an image that can be read. Received: {failures[:1]}")
    accuracy, words_only, image_only = (float(np.mean(right[kind])) for kind in ("both", "words", "image"))
    pointing = float(np.mean(pointed)) if pointed else None
    return AnswererFigures(
        len(right["both"]), accuracy, words_only, image_only, pointing, tuple(dict.fromkeys(failures))
    )


def _look(
    answerer: keras.Model,
    asked: Sequence[tuple[Any, str]],
    top_k: int,
    threshold: float,
    batch_size: int,
) -> Iterator[str | tuple[tuple[int, int], dict[str, np.ndarray]]]:
    """For each question, the size of its image and the localizer's outputs; or an error message."""
    localizer = build_answer_localizer(answerer, top_k, threshold)
    size_hw = input_size_hw(localizer.input["images"].shape)
    for batch in read_batches(
        lambda index: read_reduced(asked[index][0], size_hw), len(asked), size_hw, batch_size
    ):
        # The placeholder of an unreadable image is computed, too, and its answers are ignored.
        texts = ops.convert_to_tensor([asked[index][1] for index in batch.index])
        outputs = localizer.predict_on_batch({"images": batch.images, "questions": texts})
        check_finite(outputs)
        for row, (error, size_wh) in enumerate(zip(batch.errors, batch.sizes_wh, strict=True)):
            if error:
                yield error
            else:
                yield tuple(size_wh.tolist()), {key: value[row] for key, value in outputs.items()}
