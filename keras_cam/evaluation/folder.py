"""The results of an evaluation in a folder: a table of the images, the figures, and a page to look at."""

import csv
import heapq
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_cam.evaluation.page import results_page
from keras_cam.evaluation.rates import rates
from keras_cam.evaluation.results import Evaluation, ImageResult
from keras_cam.images.whole_file import whole_file
from keras_cam.plain_text import plain_text

_SHOWN = 8

# With these a spreadsheet begins a formula, which may run programs.
_FORMULA = ("=", "+", "-", "@")


class PageError(RuntimeError):
    """The page of an evaluation cannot be made; its figures and the table of images are written."""


class Results:
    """Writes a row for each image, and remembers those with the highest and the lowest IoU.

    Args:
        rows: a `csv.writer`.
        top_k: see `Evaluation`.
    """

    def __init__(self, rows: Any, top_k: int = 5) -> None:
        self._rows, self._rates = rows, tuple(rates(top_k))
        self._best: dict[str, list[ImageResult]] = {}
        self._worst: dict[str, list[ImageResult]] = {}
        self._rows.writerow(
            ["model", "image", "width", "height", "class", "predicted", "iou", "boxes_xyxy", *self._rates]
        )

    def add(self, model: str, result: ImageResult) -> None:
        """Write the row of an image."""
        boxes = "; ".join(" ".join(f"{value:.2f}" for value in box) for box in result.boxes_xyxy.tolist())
        names = result.label_name, result.predicted_name
        iou = "" if result.iou is None else f"{result.iou:.4f}"
        outcomes = [int(result.outcomes[rate]) if rate in result.outcomes else "" for rate in self._rates]
        texts = [_cell(text) for text in (model, result.image.name, *names)]
        self._rows.writerow([*texts[:2], *result.size_wh, *texts[2:], iou, boxes, *outcomes])
        if result.iou is not None:
            # Of equal ones, the first are kept.
            self._best[model] = heapq.nlargest(_SHOWN, [*self._best.get(model, ()), result], key=_iou)
            self._worst[model] = heapq.nsmallest(_SHOWN, [*self._worst.get(model, ()), result], key=_iou)

    def galleries(self) -> dict[str, list[ImageResult]]:
        """The best and the worst images of each model."""
        shown = {}
        for model, best in self._best.items():
            shown[f"{model}: the best"] = best
            shown[f"{model}: the worst"] = self._worst[model]
        return shown


def _cell(text: str) -> str:
    """A text that a spreadsheet takes for a text: what looks like a formula gets an apostrophe in front."""
    text = plain_text(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _iou(result: ImageResult) -> float:
    return result.iou or 0.0


@contextmanager
def results_folder(
    folder: str | Path,
    evaluations: Sequence[Evaluation],
    source: str,
    top_k: int = 5,
) -> Iterator[Results]:
    """Write the results of evaluations into a folder.

    The files appear when the `with` block has succeeded, the page last:

    - `images.csv`: a row for each image and model: its class, the predicted class, the IoU and the boxes of
      its main class in pixels, and its outcomes (1, 0, or empty where a rate does not apply, see
      `ImageResult`).
    - `figures.json`: a list of `Evaluation.to_dict()`.
    - `results.html`: the table, curves over thresholds, the best and the worst images.

    Args:
        folder: it is created if it does not exist.
        evaluations: a list, to which the `with` block appends each evaluation when it is finished.
        source: the name of the data set.
        top_k: see `Evaluation`.

    Yields:
        `Results`, whose `add` takes each image's result.

    Raises:
        PageError: the page cannot be made. The other two files are there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, numbers = folder / "results.html", folder / "figures.json"
    with (
        whole_file(folder / "images.csv") as table,
        open(table, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        results = Results(csv.writer(file), top_k)
        yield results
        for old in (page, numbers):  # those of an earlier evaluation do not fit the new table
            old.unlink(missing_ok=True)
    figures = [evaluation.to_dict() for evaluation in evaluations]
    _write(numbers, json.dumps(figures, indent=2, allow_nan=False))
    try:
        _write(page, results_page(evaluations, results.galleries(), source))
    except Exception as error:  # of drawing; the figures must not be lost for it
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PageError(f"{page} cannot be made: {reason}. The figures are in {folder}") from error


def _write(file: Path, text: str) -> None:
    with whole_file(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
