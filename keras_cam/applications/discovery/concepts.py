"""Detectors of concepts, learned from photos whose captions or folders name the concept."""

import csv
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.applications.features import FeatureTable, LinearSvm, attach, extract_features, fit_linear_svm
from keras_cam.data import AnnotatedImage, AnnotatedImages, AnnotationError, AnnotationProblem, ProblemKind
from keras_cam.data.image_index import is_below
from keras_cam.images.files import find_images
from keras_cam.inference.files import localize_files
from keras_cam.inference.records import FailedImage, Localization
from keras_cam.localizer import build_localizer
from keras_cam.models.labels import labels_of
from keras_cam.recipes import AFFINITY

if TYPE_CHECKING:
    import keras

# A negative is hard if its SVM score is above -1.
_MARGIN = -1.0

_BETWEEN_WORDS = r"\W+"


@dataclass(frozen=True, eq=False)
class Concept:
    """A linear detector of a concept.

    Attributes:
        classifier: a `keras.Model` with one class, whose logit is the SVM's score, for `build_localizer`.
        negatives: the number of negatives in each round.
        failures: error messages for images that could not be read.
    """

    classifier: "keras.Model"
    negatives: tuple[int, ...]
    failures: tuple[str, ...]


def learn_concept(
    backbone: "keras.Model",
    positives: AnnotatedImages,
    negatives: AnnotatedImages,
    name: str = "concept",
    *,
    rounds: int = 10,
    cost: float | None = None,
    seed: int = 0,
    on_image: Callable[[], None] = lambda: None,
) -> Concept:
    """Train a linear SVM on pooled features, with hard negative mining.

    The first round has as many negatives as positives, chosen at random. Each further round adds the
    negatives with the highest scores above -1, at most as many as there are positives. It ends when there are
    none.

    Args:
        backbone: from images to features (B, h, w, C), see `keras_cam.applications.features.backbone_of`.
        positives: images with the concept.
        negatives: images without it, any number.
        name: the name of the concept, and of its class.
        rounds: the maximal number of rounds.
        cost: the C of the SVM; None chooses it by cross-validation in the first round.
        seed: the seed for choosing the first negatives.
        on_image: called after the features of each image are computed.

    Returns:
        The detector.

    Raises:
        ValueError: if fewer than two positives or two negatives can be read.
        ModuleNotFoundError: if scikit-learn is not installed.

    Reference:
        Zhou et al., CVPR 2016, section 4. Zhou, Jagadeesh and Piramuthu, "ConceptLearner: Discovering
        Visual Concepts from Weakly Labeled Image Collections", CVPR 2015.
    """
    names = (f"not {name}", name)
    shown = [extract_features(backbone, part, on_image=on_image) for part in (negatives, positives)]
    for part, kind in zip(shown, ("negatives", "positives"), strict=True):
        if len(part) < 2:
            raise ValueError(f"There must be at least two readable {kind}. Received: {len(part)}")
    pool, present = shown
    chosen = np.random.default_rng(seed).permutation(len(pool))[: len(present)]
    sizes: list[int] = []
    for _ in range(rounds):
        sizes.append(len(chosen))
        table = _together(pool.take(chosen), present, names)
        svm = fit_linear_svm(table) if cost is None else fit_linear_svm(table, [cost])
        cost = svm.cost
        score = svm.margins(pool.vectors)[:, 1]
        score[chosen] = -np.inf
        hard = np.argsort(-score)[: len(present)]
        hard = hard[score[hard] > _MARGIN]
        if not len(hard):
            break
        chosen = np.concatenate([chosen, hard])
    failures = (*pool.failures, *present.failures)
    detector = LinearSvm(svm.kernel[:, 1:], svm.bias[1:], (name,), svm.cost)
    return Concept(attach(detector, backbone), tuple(sizes), failures)


def _together(negatives: FeatureTable, positives: FeatureTable, names: tuple[str, str]) -> FeatureTable:
    vectors = np.concatenate([negatives.vectors, positives.vectors])
    labels = np.repeat([0, 1], [len(negatives), len(positives)])
    return FeatureTable((*negatives.names, *positives.names), vectors, labels, names)


def read_captions(
    file: str | Path, phrase: str, allow_outside: bool = False
) -> tuple[AnnotatedImages, AnnotatedImages]:
    """Read captions, and divide their images by whether a caption has a phrase.

    Args:
        file: a `.csv` or `.tsv` file with the columns `image`, a path relative to the file, and `caption`; or
            a `.jsonl` file with an object of these on each line. An image may have several captions: one with
            the phrase is enough.
        phrase: one or more whole words in this order, in upper or lower case.
        allow_outside: whether images may be outside of the folder of the file. By default they are left out,
            and listed in the `problems` of the negatives.

    Returns:
        `(positives, negatives)`.

    Raises:
        ValueError: if the phrase has no word.
        AnnotationError: if the file cannot be read or lacks a column, or no image or every image has the
            phrase.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "captions.csv"
        >>> _ = path.write_text("image,caption\\na.jpg,A red car.\\nb.jpg,Red carpet\\n")
        >>> positives, negatives = read_captions(path, "red car")
        >>> [image.name for image in positives], [image.name for image in negatives]
        (['a.jpg'], ['b.jpg'])
    """
    path, words = Path(file), re.findall(r"\w+", phrase)
    if not words:
        raise ValueError(f"`phrase` must have a word. Received: phrase={phrase!r}")
    pattern = re.compile(rf"\b{_BETWEEN_WORDS.join(words)}\b", re.IGNORECASE)
    has_phrase: dict[str, bool] = {}
    problems: dict[str, AnnotationProblem] = {}
    for image, caption in _captions(path):
        if not allow_outside and not is_below(str(path.parent / image), str(path.parent)):
            problems[image] = AnnotationProblem(ProblemKind.OUTSIDE_FOLDER, str(path), f"image {image}", "")
            continue
        has_phrase[image] = has_phrase.get(image, False) or bool(pattern.search(caption))
    with_it, without_it = (
        [name for name, found in has_phrase.items() if found == wanted] for wanted in (True, False)
    )
    return (
        _images(f"{path}, with the phrase", with_it, path.parent),
        replace(_images(f"{path}, without it", without_it, path.parent), problems=tuple(problems.values())),
    )


def _captions(path: Path) -> list[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as lines:
            rows: Iterable[Any]
            if path.suffix == ".jsonl":
                rows = [json.loads(line) for line in lines if line.strip()]
            else:
                rows = csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ",")
            return [(str(row["image"]), str(row["caption"] or "")) for row in rows]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        rule = f"{path} must be CSV, TSV or JSON lines with the columns image and caption"
        raise AnnotationError(f"{rule}. Received: {error!r}") from error


def images_in(source: str | Path) -> AnnotatedImages:
    """Return the image files in a folder and the folders below, for `learn_concept`."""
    return _images(str(source), [str(file) for file in find_images([source])])


def _images(source: str, names: list[str], folder: Path = Path()) -> AnnotatedImages:
    """Images without annotations, from file names relative to a folder."""
    if not names:
        raise AnnotationError(f"There must be an image in {source}. Received: none")
    images = tuple(AnnotatedImage(name, str(folder / name), 0, (0,)) for name in names)
    return AnnotatedImages(source, ("image",), images)


def ranked(
    classifier: "keras.Model", photos: Iterable[str | Path], on_image: Callable[[], None] = lambda: None
) -> tuple[list[Localization], list[str]]:
    """Rank photos by a concept, and localize it in each.

    Args:
        classifier: the `classifier` of a `Concept`.
        photos: image files, and folders, which are searched for images.
        on_image: called after each photo.

    Returns:
        A record for each photo, with the concept as its only detection, the highest score first; and error
        messages for photos that cannot be read.
    """
    localizer = build_localizer(classifier, refine=AFFINITY)
    records, failures = [], []
    for record in localize_files(localizer, photos, labels_of(classifier)):
        on_image()
        if isinstance(record, FailedImage):
            failures.append(record.error)
        else:
            records.append(record)
    return sorted(records, key=lambda record: -record.detections[0].score), failures
