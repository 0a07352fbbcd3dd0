"""Questions about images in the files of VQA v1 and v2, https://visualqa.org/download.html.

Reference:
    Antol et al., "VQA: Visual Question Answering", ICCV 2015. Goyal et al., "Making the V in VQA Matter",
    CVPR 2017.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex
from keras_cam.images.files import find_images
from keras_cam.inference.records import BoxXYXY

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {"none": "0", **{word: str(number) for number, word in enumerate(_NUMBERS)}}


@dataclass(frozen=True, slots=True)
class Question:
    """A question about an image.

    Attributes:
        name: its id.
        text: the question.
        image: the index of its image in `Questions.images`.
        answer: the most frequent answer.
        answers: the answers of all people. All answers are normalized by `normalized_answer`.
        box_xyxy: the box in which the answer can be seen: xmin, ymin, xmax, ymax in pixels; None if unknown.
    """

    name: str
    text: str
    image: int
    answer: str
    answers: tuple[str, ...]
    box_xyxy: BoxXYXY | None = None


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions and their images.

    Attributes:
        images: the images that questions are about, without repetition. Its `problems` include those of the
            questions.
        questions: the questions, in the order of the file.
    """

    images: AnnotatedImages
    questions: tuple[Question, ...]

    def __len__(self) -> int:
        return len(self.questions)


def read_questions(folder: str | Path, split: str) -> Questions:
    """Reads the questions of one split, with their answers.

    Args:
        folder: a folder with files whose names end in `SPLIT_questions.json` and `SPLIT_annotations.json`. If
            there are several, those of the open-ended task are read. The images may be in any folder below,
            with their published names, such as `COCO_train2014_000000000009.jpg` or
            `abstract_v002_train2015_000000000009.png`. Beyond VQA's format, an annotation may have a `bbox`:
            x, y, width and height in pixels.
        split: for instance "train2014".

    Returns:
        The questions that have answers and an image.

    Raises:
        AnnotationError: if a file is missing or not such JSON, or no image is usable.
    """
    folder = Path(folder)
    path = _only(folder, f"{split}_questions.json")
    document = _load(path, "questions")
    annotations = _load(_only(folder, f"{split}_annotations.json"), "annotations")["annotations"]
    answered = {entry.get("question_id"): entry for entry in annotations}
    files = {file.stem: file for file in find_images([folder])}
    prefix = f"{_image_prefix(document)}_{document.get('data_subtype', split)}"
    index = ImageIndex(str(path))
    places: dict[str, int] = {}
    questions: list[Question] = []
    for position, entry in enumerate(document["questions"]):
        try:
            image = f"{prefix}_{int(entry['image_id']):012d}"
            name, text = str(entry["question_id"]), str(entry["question"])
            answer, answers, box = _answers(answered[entry["question_id"]])
        except (KeyError, TypeError, ValueError) as error:
            item, detail = f"question number {position}", f"{type(error).__name__}: {error}"
            index.report(ProblemKind.UNREADABLE_ANNOTATION, str(path), item, detail)
            continue
        if image not in files:
            index.report(ProblemKind.MISSING_FILE, str(path), f"question {name}", image)
            continue
        if image not in places:
            places[image] = len(places)
            index.add(image, str(files[image]), str(path), label=0)
        questions.append(Question(name, text, places[image], answer, answers, box))
    return Questions(index.finish(["image"], strict=False), tuple(questions))


def normalized_answer(text: str) -> str:
    """Normalize an answer, similarly to VQA's evaluation.

    The result is in lower case, without articles and punctuation, and with digits for numbers up to ten.
    Unlike in VQA's evaluation, contractions ("dont" for "don't") are not corrected.

    Examples:
        >>> normalized_answer("The  two dogs."), normalized_answer("2 dogs")
        ('2 dogs', '2 dogs')
    """
    words = re.findall(r"[\w'.:-]*\w", text.lower())
    return " ".join(_DIGITS.get(word, word) for word in words if word not in ("a", "an", "the"))


def vqa_accuracy(answer: str, answers: Sequence[str]) -> float:
    """VQA's accuracy of an answer: min(1, k / 3), where k people gave the same answer.

    It is averaged over all ways to leave out one person, and in [0, 1].

    Reference:
        Antol et al., ICCV 2015, section 3; https://visualqa.org/evaluation.html.

    Examples: three of ten people gave the answer.
        >>> round(vqa_accuracy("red", ["red"] * 3 + ["blue"] * 7), 6)
        0.9
    """
    others = [answers.count(answer) - (one == answer) for one in answers]
    return sum(min(1.0, count / 3) for count in others) / len(others)


def _only(folder: Path, ending: str) -> Path:
    """The file with this ending; if there are several, the one of the open-ended task."""
    found = sorted(folder.glob(f"*{ending}"))
    chosen = [file for file in found if "OpenEnded" in file.name] if len(found) > 1 else found
    if len(chosen) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise AnnotationError(f"There must be one file *{ending} in {folder}. Received: {names}")
    return chosen[0]


def _load(path: Path, key: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(f"Cannot read {path} as JSON: {error}") from error
    entries = document.get(key) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise AnnotationError(f"{path} must be JSON of VQA, with a list of objects `{key}`")
    return document


def _image_prefix(document: dict[str, Any]) -> str:
    kind = str(document.get("data_type", "mscoco"))
    return "COCO" if kind == "mscoco" else kind


def _answers(annotation: dict[str, Any]) -> tuple[str, tuple[str, ...], BoxXYXY | None]:
    answers = tuple(normalized_answer(str(one["answer"])) for one in annotation["answers"])
    if not answers:
        raise ValueError("no answers")
    said = annotation.get("multiple_choice_answer")
    answer = normalized_answer(str(said)) if said is not None else Counter(answers).most_common(1)[0][0]
    if "bbox" not in annotation:
        return answer, answers, None
    x, y, width, height = map(float, annotation["bbox"])
    return answer, answers, (x, y, x + width, y + height)
