"""Evaluation protocols: how boxes are made from maps when they are judged, and when that is decided.

The figures `max_box_acc` and `max_box_acc_v2` are always those of Choe et al., whatever the protocol. Reading
this module needs no Keras: the command line shows the table.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from keras_cam.evaluation.results import ImageResult


class Protocol:
    """The base of all protocols. A subclass has a name, a summary and `boxes`.

    An object serves one evaluation, because it may remember what `add` tells it.

    Attributes:
        name: what the figures call the protocol.
        summary: one line for people.
        judges_refined_maps: whether the refined maps of a localizer are judged, if it refines. Otherwise its
            raw class activation maps are.
        oracle: whether a threshold is chosen on the images that are judged.

    Examples:
        >>> class HalfOfTheMaximum(Protocol):
        ...     name, summary = "half", "the largest component above half of the maximum"
        ...     judges_refined_maps = False
        ...
        ...     def boxes(self, found):
        ...         from keras_cam.ops import boxes_from_maps
        ...         return np.asarray(boxes_from_maps(found["class_activation_maps"], threshold=0.5)[0])
        >>> HalfOfTheMaximum().boxes({"class_activation_maps": np.ones((2, 6, 7, 7))}).shape
        (2, 6, 1, 4)
    """

    name: str = ""
    summary: str = ""
    judges_refined_maps: bool = True
    oracle: bool = False

    def boxes(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """The boxes to be judged, of the true class and of each predicted class.

        Args:
            found: what `keras_cam.inference.Localizer.classify_and_cam` returned for a batch: among others
                `class_activation_maps` (B, 1 + K, h, w), those of the true class first, `predicted` (B, K),
                `logits` (B, N), and `detection_boxes` (B, 1 + K, 4), the localizer's own boxes. And `images`
                (B, H, W, 3), the input of the localizer, and `sizes_wh` (B, 2), the width and height of the
                original photos in pixels.

        Returns:
            float (B, 1 + K, M, 4), up to M boxes for each class as ymin, xmin, ymax, xmax in [0, 1], zeros
            where there are fewer. With M = 0 boxes are not judged; `figures` may decide later.
        """
        raise NotImplementedError

    def add(self, result: "ImageResult") -> None:
        """Take note of an image. It is called once for each, in their order."""

    def figures(self, outcomes: dict[str, Sequence[int]]) -> dict[str, Sequence[int]]:
        """The outcomes of all images, after the last one.

        Args:
            outcomes: for each rate one number an image: 1 if the image adds to the rate, 0 if it does not, -1
                if the rate does not apply to it.

        Returns:
            The same, with what could only be decided now, and with rates of one's own.
        """
        return outcomes


class Zhou2016(Protocol):
    """The boxes that the localizer gives."""

    name = "zhou2016"
    summary = (
        "the localizer's own boxes, by the paper's rule the largest component above 20 % of the maximum "
        "(refined maps have thresholds of their own), for each of five classes"
    )

    def boxes(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """One box for each class."""
        return found["detection_boxes"][:, :, None]


class Zhou2016Test(Protocol):
    """The five boxes of the paper's test-set result; the true class has the loose one.

    Reference:
        Zhou et al., CVPR 2016, section 3.2: "two bounding boxes (one tight and one loose)".
    """

    name = "zhou2016_test"
    summary = (
        "the paper's five boxes of class activation maps: tight and loose for two classes, loose for a third"
    )
    judges_refined_maps = False

    def boxes(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """Five boxes for each class, zeros in place of those of other classes."""
        from keras_cam.layers import MapDetections

        predicted = found["predicted"]
        inputs = found["logits"], found["images"]
        maps = found["class_activation_maps"]
        five = MapDetections(rule="tight_and_loose", boxes_first=False)(maps[:, 1:], predicted, *inputs)
        true = MapDetections(boxes_first=False)(maps[:, :1], np.zeros_like(predicted[:, :1]), *inputs)
        own = np.asarray(five["detection_classes"])[:, None] == predicted[:, :, None]
        of_predicted = np.where(own[..., None], np.asarray(five["detection_boxes"])[:, None], 0)
        of_true = np.zeros_like(of_predicted[:, :1])
        of_true[:, :, 0] = np.asarray(true["detection_boxes"])
        return np.concatenate([of_true, of_predicted], axis=1)


class Zhou2016Released(Protocol):
    """The largest box that the authors' program finds, which they evaluate as their loose one."""

    name = "zhou2016_released"
    summary = (
        "the largest box that the authors' released program makes of the class activation map, for each of "
        "five classes"
    )
    judges_refined_maps = False

    def boxes(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """One box for each class."""
        from keras_cam.metrics.zhou2016 import heat_map, zhou2016_released

        maps, sizes_wh = found["class_activation_maps"], found["sizes_wh"]
        boxes = np.zeros((*maps.shape[:2], 1, 4))
        for row, column in np.ndindex(*maps.shape[:2]):
            width, height = sizes_wh[row].tolist()
            largest = zhou2016_released(heat_map(maps[row, column], (height, width)))[:1]
            boxes[row, column, : len(largest)] = largest[:, [1, 0, 3, 2]] / [height, width, height, width]
        return boxes


class Choe2020(Protocol):
    """The largest contour at the threshold that is best on all images together, an oracle.

    Reference:
        Choe et al., CVPR 2020, section 3.3 (MaxBoxAcc).
    """

    name = "choe2020"
    summary = (
        "the largest contour of the true class's map at the one threshold that is best on these images, an "
        "oracle"
    )
    oracle = True

    def __init__(self) -> None:
        self._hits: list[bytes] = []  # for each image with boxes 1,000 bits, one for each threshold
        self._objects: list[int] = []  # its boxes

    def boxes(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """No boxes: the threshold is not known yet."""
        return np.zeros((*found["class_activation_maps"].shape[:2], 0, 4))

    def add(self, result: "ImageResult") -> None:
        """Remember at which thresholds the largest contour is right, with an IoU of 0.5."""
        if result.box_hits is not None:
            self._hits.append(np.packbits(result.box_hits[0, 1]).tobytes())
            self._objects.append((result.image.box_labels == result.image.label).sum())

    def figures(self, outcomes: dict[str, Sequence[int]]) -> dict[str, Sequence[int]]:
        """Choose the threshold, and decide which images are right."""
        if not self._hits:
            return outcomes
        hits = np.unpackbits(np.frombuffer(b"".join(self._hits), np.uint8)).reshape(len(self._hits), -1)
        found = hits[:, hits.sum(axis=0).argmax()] == 1
        has_boxes = np.array(outcomes["pointing_game"]) >= 0
        objects = np.array(self._objects)
        decided: dict[str, Any] = {
            "gt_known_accuracy": found,
            "single_object_gt_known": np.where(objects == 1, found, -1),
            "several_objects_gt_known": np.where(objects > 1, found, -1),
        }
        for rate in outcomes:
            if rate.startswith("localization"):
                wrong_class = np.array(outcomes[rate.replace("localization", "classification")])[has_boxes]
                decided[rate] = (wrong_class == 1) | ~found
        for rate, values in decided.items():
            answers = np.full(len(has_boxes), -1, np.int8)
            answers[has_boxes] = values
            outcomes = {**outcomes, rate: answers.tolist()}
        return outcomes


PROTOCOLS: dict[str, type[Protocol]] = {
    protocol.name: protocol for protocol in (Zhou2016, Zhou2016Test, Zhou2016Released, Choe2020)
}
"""The protocols by name."""
