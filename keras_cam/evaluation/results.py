"""The figures of an evaluation: what they count, how sure they are, whether two models differ."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_cam.data import AnnotatedImage
from keras_cam.metrics import choe2020, wilson_interval

# Boxes that need no model, as xyxy of the image: one of half its area in its middle, and all of it.
BASELINES = {
    "center_box_gt_known": (0.5 - 0.5**1.5, 0.5 - 0.5**1.5, 0.5 + 0.5**1.5, 0.5 + 0.5**1.5),
    "full_image_gt_known": (0.0, 0.0, 1.0, 1.0),
}


def rate_names(top_k: int = 5) -> tuple[str, ...]:
    """The figures that count images, in the order in which they are told.

    Examples:
        >>> rate_names(3)[:2]
        ('classification_top1_error', 'classification_top3_error')
    """
    errors = [f"{kind}_top{k}_error" for kind in ("classification", "localization") for k in (1, top_k)]
    return tuple(dict.fromkeys([*errors, "gt_known_accuracy", "pointing_game", *BASELINES]))


@dataclass(frozen=True)
class ImageResult:
    """What came out for one image.

    Attributes:
        image: what is known about it.
        size_wh: its width and height in pixels.
        predicted: class indices, best first, at most `top_k`.
        boxes_xyxy: float (T, 4) in pixels with half-open maxima, the boxes of the main class's map; none for
            the protocol choe2020, whose threshold is not known yet.
        activation_map: float32 (h, w), the raw map of the main class.
        iou: the best IoU of these boxes with one of the ground truth; None if the image has no boxes, or
            there are none to compare them with.
        counted: for each of `rate_names` that applies whether the image counts: for an error if it is wrong,
            for others if it is right.
    """

    image: AnnotatedImage
    size_wh: tuple[int, int]
    predicted: tuple[int, ...]
    boxes_xyxy: np.ndarray
    activation_map: np.ndarray
    iou: float | None
    counted: dict[str, bool]


@dataclass
class Evaluation:
    """The figures of one model on one data set.

    Attributes:
        model: its name.
        protocol: a key of `keras_cam.evaluation.protocols.PROTOCOLS`.
        top_k: how many predictions an image has for the second of each kind of errors.
        counted: for each of `rate_names` one answer an image, see `ImageResult`; -1 where it does not apply.
        iou_sum: the sum of the IoUs of all images that have boxes.
        box_hits: int64 (2, 3, 1000), see `keras_cam.metrics.choe2020.count_box_hits`.
        largest_hits: for each image that has boxes, 1000 bits: at which threshold its largest contour is
            right, IoU 0.5. Only for the protocol choe2020, whose threshold is known in the end.
        failures: what is wrong with each image that could not be read.
        seconds: how long it took.
    """

    model: str
    protocol: str
    top_k: int = 5
    counted: dict[str, array] = field(default_factory=dict)
    iou_sum: float = 0.0
    box_hits: np.ndarray = field(default_factory=lambda: np.zeros((2, 3, 1000), np.int64))
    largest_hits: bytearray = field(default_factory=bytearray)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Start counting: a byte an answer, so that two models can be compared image by image."""
        self.counted |= {rate: array("b") for rate in rate_names(self.top_k)}

    @property
    def images(self) -> int:
        """How many images were judged."""
        return len(self.counted["classification_top1_error"])

    def add(self, result: ImageResult) -> None:
        """Count one image."""
        for rate, answers in self.counted.items():
            answers.append(int(result.counted.get(rate, -1)))
        boxes = main_boxes(result.image)
        if len(boxes):
            width, height = result.size_wh
            truth = choe2020.inclusive_boxes(boxes, (height, width))
            hits = choe2020.box_hits(result.activation_map, truth)
            self.box_hits += hits
            if self.protocol == "choe2020":
                self.largest_hits += np.packbits(hits[0, 1]).tobytes()
            else:
                self.iou_sum += result.iou or 0.0

    def finish(self, seconds: float) -> None:
        """Note how long it took; of choe2020, decide which images are right at the best threshold."""
        self.seconds = seconds
        if self.protocol != "choe2020" or not self.largest_hits:
            return
        bits = np.unpackbits(np.frombuffer(self.largest_hits, np.uint8)).reshape(-1, len(choe2020.THRESHOLDS))
        found = bits[:, self.box_hits[0, 1].argmax()] == 1
        has_boxes = np.array(self.counted["pointing_game"]) >= 0
        of_box = {"gt_known_accuracy": found}
        for k in {1, self.top_k}:
            wrong_class = np.array(self.counted[f"classification_top{k}_error"])[has_boxes] == 1
            of_box[f"localization_top{k}_error"] = wrong_class | ~found
        for rate, values in of_box.items():
            answers = np.full(len(has_boxes), -1, np.int8)
            answers[has_boxes] = values
            self.counted[rate] = array("b", answers.tobytes())

    def count(self, rate: str) -> tuple[int, int]:
        """How many images a rate counts, and to how many it applies."""
        answers = np.array(self.counted[rate])
        return int((answers == 1).sum()), int((answers >= 0).sum())

    def to_dict(self) -> dict[str, Any]:
        """All figures: rates in [0, 1] or None if they apply to no image, and their 95 % intervals (Wilson).

        `max_box_acc` and `max_box_acc_v2` choose their threshold on the images that they judge, and say so;
        with the protocol choe2020 all figures of boxes do.
        """
        figures: dict[str, Any] = {"model": self.model, "protocol": self.protocol, "images": self.images}
        intervals = {}
        for rate in self.counted:
            count, images = self.count(rate)
            figures[rate] = count / images if images else None
            if images:
                intervals[rate] = wilson_interval(count, images)
        if self.protocol == "choe2020":
            figures["oracle"] = True
        _, with_boxes = self.count("gt_known_accuracy")
        has_ious = with_boxes and self.protocol != "choe2020"
        figures["mean_iou"] = self.iou_sum / with_boxes if has_ious else None
        for name, hits in zip(("max_box_acc", "max_box_acc_v2"), self.box_hits, strict=True):
            figures[name] = self._oracle(name, hits, with_boxes)
        figures["failed_images"] = len(self.failures)
        figures["images_per_second"] = self.images / self.seconds if self.seconds else None
        return {**figures, "intervals": intervals}

    def _oracle(self, name: str, hits: np.ndarray, images: int) -> dict[str, Any] | None:
        if not images:
            return None
        figures = choe2020.box_figures(hits, images)
        thresholds: Any = figures["best_threshold"]
        if name == "max_box_acc":
            chosen = {"value": figures["at_50"], "threshold": thresholds["50"]}
        else:
            chosen = {"value": figures["mean"], "threshold": thresholds}
        return {"value": float(chosen["value"]) / 100, "threshold": chosen["threshold"], "oracle": True}


def main_boxes(image: AnnotatedImage) -> np.ndarray:
    """The boxes (n, 4) of an image's main class, xyxy in pixels with half-open maxima."""
    return image.boxes_xyxy[image.box_labels == image.label]


def mcnemar_p_value(first: Sequence[int], second: Sequence[int]) -> float:
    """How likely two models are to differ this much on the same images if they are equally good.

    The exact test of McNemar: only images count on which one model is right and the other is wrong.

    Args:
        first: the answers of one model, as `Evaluation.counted` has them.
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
