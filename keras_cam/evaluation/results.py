"""The figures of an evaluation: what they count, how sure they are, whether two models differ."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_cam.data import AnnotatedImage
from keras_cam.evaluation.protocols import Protocol
from keras_cam.evaluation.rates import rates
from keras_cam.metrics import MaxBoxAcc, MaxBoxAccV2, wilson_interval


@dataclass(frozen=True)
class ImageResult:
    """What came out for one image.

    Attributes:
        image: its annotations, with the classes of the model.
        class_names: the names of all classes of the model.
        size_wh: its width and height in pixels.
        predicted: class indices, best first, at most `top_k`.
        boxes_xyxy: float (T, 4) in pixels with half-open maxima, the boxes of the main class; none if the
            protocol decides them when it has seen all images.
        activation_map: float32 (h, w), the map of the main class that is judged.
        iou: the best IoU of these boxes with one of the ground truth; None if the image has no boxes, or
            if there are none to compare them with.
        outcomes: for each rate that applies to the image, whether the image adds to it: to an error if the
            image is wrong, to an accuracy if it is right.
        box_hits: bool (2, 3, 1000), at which IoU and threshold the map is right, see
            `keras_cam.metrics.choe2020.box_hits`; None if the image has no boxes.
        all_boxes: the number of true boxes of the main class, of components of its map, and of components
            whose box finds a true one, see `count_matched_boxes`.
    """

    image: AnnotatedImage
    class_names: Sequence[str]
    size_wh: tuple[int, int]
    predicted: tuple[int, ...]
    boxes_xyxy: np.ndarray
    activation_map: np.ndarray
    iou: float | None
    outcomes: dict[str, bool]
    box_hits: np.ndarray | None
    all_boxes: tuple[int, int, int] = (0, 0, 0)

    @property
    def label_name(self) -> str:
        """The name of the main class."""
        return self.class_names[self.image.label]

    @property
    def predicted_name(self) -> str:
        """The name of the best class."""
        return self.class_names[self.predicted[0]]


@dataclass
class Evaluation:
    """The figures of one model on one data set.

    Attributes:
        model: its name.
        protocol: how boxes are made.
        top_k: how many predictions an image has for the second of each kind of errors.
        outcomes: for each rate one number an image: 1 if the image adds to it, 0 if it does not, -1 if the
            rate does not apply to the image.
        ious: the best IoU of each image whose boxes are judged.
        all_boxes: the sums of `ImageResult.all_boxes` over the images that have a box of their main class.
        max_box_acc: accuracy over thresholds, of the largest contour.
        max_box_acc_v2: the same of the best of all contours.
        failures: what is wrong with each image that could not be read.
        seconds: how long it took.
        class_names: the names of all classes of the model.
        remark: how the classes of the data were found among them, if that needs a word, see `ClassMatch`.
    """

    model: str
    protocol: Protocol
    top_k: int = 5
    outcomes: dict[str, Sequence[int]] = field(default_factory=dict)
    ious: array = field(default_factory=lambda: array("d"))
    all_boxes: tuple[int, int, int] = (0, 0, 0)
    max_box_acc: MaxBoxAcc = field(default_factory=MaxBoxAcc)
    max_box_acc_v2: MaxBoxAccV2 = field(default_factory=MaxBoxAccV2)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    class_names: Sequence[str] = ()
    remark: str = ""

    def __post_init__(self) -> None:
        """Make room for the outcomes: a byte each, so that two models can be compared image by image."""
        self.outcomes |= {rate: array("b") for rate in rates(self.top_k)}

    @property
    def images(self) -> int:
        """How many images were judged."""
        return len(self.outcomes["classification_top1_error"])

    def add(self, result: ImageResult) -> None:
        """Count one image."""
        for rate, outcomes in self.outcomes.items():
            outcomes.append(int(result.outcomes.get(rate, -1)))  # type: ignore[attr-defined]
        if result.iou is not None:
            self.ious.append(result.iou)
        if result.all_boxes[0]:
            self.all_boxes = tuple(map(sum, zip(self.all_boxes, result.all_boxes, strict=True)))  # type: ignore[assignment]
        if result.box_hits is not None:
            self.max_box_acc.add_hits(result.box_hits[0])
            self.max_box_acc_v2.add_hits(result.box_hits[1])
        self.protocol.add(result)

    def finish(self, seconds: float) -> None:
        """Note how long it took, and let the protocol decide what it could not decide before."""
        self.seconds = seconds
        self.outcomes = self.protocol.figures(self.outcomes)

    def count(self, rate: str) -> tuple[int, int]:
        """How many images add to a rate, and to how many it applies."""
        outcomes = np.array(self.outcomes[rate])
        return int((outcomes == 1).sum()), int((outcomes >= 0).sum())

    def to_dict(self) -> dict[str, Any]:
        """All figures: rates in [0, 1] or None if they apply to no image, and their 95 % intervals (Wilson).

        `max_box_acc` and `max_box_acc_v2` choose their threshold on the images that they judge, and say so;
        with the protocol choe2020 all figures of boxes do.
        """
        figures: dict[str, Any] = {
            "model": self.model,
            "protocol": self.protocol.name,
            "images": self.images,
        }
        intervals = {}
        for rate in self.outcomes:
            count, images = self.count(rate)
            figures[rate] = count / images if images else None
            if images:
                intervals[rate] = wilson_interval(count, images)
        if self.protocol.oracle:
            figures["oracle"] = True
        figures["mean_iou"] = sum(self.ious) / len(self.ious) if self.ious else None
        true, found, matched = self.all_boxes
        figures["all_boxes_recall"] = matched / true if true else None
        figures["all_boxes_precision"] = matched / found if found else None
        figures["max_box_acc"] = _oracle(self.max_box_acc, "50")
        figures["max_box_acc_v2"] = _oracle(self.max_box_acc_v2)
        figures["failed_images"] = len(self.failures)
        figures["images_per_second"] = self.images / self.seconds if self.seconds else None
        return {**figures, "intervals": intervals}


def _oracle(metric: MaxBoxAcc, iou: str | None = None) -> dict[str, Any] | None:
    """The value of a metric and its best threshold, or those of all IoUs; None without images."""
    if not int(metric.images):
        return None
    thresholds: Any = metric.figures()["best_threshold"]
    threshold = thresholds if iou is None else thresholds[iou]
    return {"value": float(metric.result()), "threshold": threshold, "oracle": True}


def main_boxes(image: AnnotatedImage) -> np.ndarray:
    """The boxes (n, 4) of an image's main class, xyxy in pixels with half-open maxima."""
    return image.boxes_xyxy[image.box_labels == image.label]


def mcnemar_p_value(first: Sequence[int], second: Sequence[int]) -> float:
    """How likely two equally good models are to differ at least this much on the same images.

    McNemar's exact test: only images on which one model is right and the other is wrong count.

    Args:
        first: the outcomes of one model, as `Evaluation.outcomes` has them.
        second: those of the other, for the same images.

    Returns:
        The two-sided p-value.

    Examples:
        >>> mcnemar_p_value([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
        0.0625
    """
    from scipy.stats import binomtest

    one, other = np.array(first), np.array(second)
    applies = (one >= 0) & (other >= 0)
    only_one = int((applies & (one > other)).sum())
    only_other = int((applies & (one < other)).sum())
    return 1.0 if only_one + only_other == 0 else float(binomtest(only_one, only_one + only_other).pvalue)
