"""Fine-grained recognition: images are classified again after cropping them to their CAM boxes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.applications.discovery.cropped_image import CroppedImage
from keras_cam.applications.features import LinearSvm, attach, extract_features, fit_linear_svm
from keras_cam.check_finite import check_finite
from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.drawing.pictures import gallery, overlay
from keras_cam.evaluation.results import main_boxes
from keras_cam.images.resize import input_size_hw
from keras_cam.localizer import build_localizer
from keras_cam.metrics import box_ious

if TYPE_CHECKING:
    import keras

FULL_IMAGE, CAM_BOX, TRUE_BOX = "full image", "CAM box", "ground-truth box"
ROWS = (FULL_IMAGE, CAM_BOX, TRUE_BOX)
"""What is classified, as in the rows of the paper's table 4."""

MARGIN = 0.1
"""What a crop adds to its box on each side, as a fraction of the box's width and height."""

Fold = tuple[np.ndarray, np.ndarray]


@dataclass
class FineGrainedComparison:
    """How well classes are recognized in whole images and in crops.

    Attributes:
        accuracies: for each of `ROWS`, the accuracy in each fold. Without ground-truth boxes, their row is
            missing.
        iou_over_half: for each fold, the fraction of test images whose CAM box has an IoU of at least 0.5
            with the ground-truth box.
        images: the images that could be read.
        boxes_xyxy: (N, 4), the CAM box of each image in its pixels, from the last fold that it was tested in.
    """

    accuracies: dict[str, list[float]] = field(default_factory=dict)
    iou_over_half: list[float] = field(default_factory=list)
    images: tuple[AnnotatedImage, ...] = ()
    boxes_xyxy: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))

    def mean(self, row: str) -> tuple[float, float]:
        """The mean accuracy over the folds, and half of its 95 % confidence interval."""
        return _mean_and_half_width(np.array(self.accuracies[row]))

    def gain(self, row: str, over: str) -> tuple[float, float]:
        """The mean difference of two rows in the same folds, and half of its 95 % confidence interval."""
        return _mean_and_half_width(np.array(self.accuracies[row]) - np.array(self.accuracies[over]))


def compare_crops(
    backbone: "keras.Model",
    annotated: AnnotatedImages,
    folds: Sequence[Fold],
    locator: "keras.Model | None" = None,
    margin: float = MARGIN,
    localizer_options: Mapping[str, Any] = MappingProxyType({}),
    on_image: Callable[[], None] = lambda: None,
) -> FineGrainedComparison:
    """Compare classification of whole images, of crops to CAM boxes, and of crops to ground-truth boxes.

    In each fold, a linear SVM is trained on the features of whole images. In every image, the map of the
    class that it predicts gives a box. The box is cut from the original pixels, features are extracted again,
    and another SVM is trained on these. Annotated boxes are used only for the third row.

    Args:
        backbone: see `keras_cam.applications.features.backbone_of`.
        annotated: the images. Those that cannot be read are left out.
        folds: pairs of indices in `annotated`, of training and of test images, see `stratified_folds`.
        locator: a backbone with finer maps for the boxes; None takes `backbone`.
        margin: what a crop adds to its box on each side, as a fraction of the box's width and height.
        localizer_options: further arguments of `keras_cam.build_localizer`, with which the boxes are made.
        on_image: called after each image that goes through `backbone`: the whole image, its ground-truth box,
            and in each fold its CAM box.

    Returns:
        The accuracies in each fold.

    Reference:
        Zhou et al., CVPR 2016, section 4.1, table 4.
    """
    whole = extract_features(backbone, annotated, on_image=on_image)
    readable = np.isin([image.name for image in annotated], whole.names)
    images = tuple(image for image, is_read in zip(annotated, readable, strict=True) if is_read)
    annotated = AnnotatedImages(annotated.source, annotated.class_names, images)
    seen = whole if locator is None else extract_features(locator, annotated)
    tables = {FULL_IMAGE: whole}
    truth = np.concatenate([main_boxes(image)[:1] for image in annotated])
    if len(truth) == len(annotated):
        tables[TRUE_BOX] = extract_features(backbone, crops(annotated, truth, margin), on_image=on_image)
    comparison = FineGrainedComparison(images=images, boxes_xyxy=np.zeros((len(images), 4)))
    for train, test in (_renumbered(fold, readable) for fold in folds):
        svms = {row: fit_linear_svm(table.take(train)) for row, table in tables.items() if row != CAM_BOX}
        located = svms[FULL_IMAGE] if locator is None else fit_linear_svm(seen.take(train))
        localizer = _localizer(located, locator or backbone, localizer_options)
        predicted = svms[FULL_IMAGE].margins(whole.vectors).argmax(axis=1)
        boxes = boxes_of_classes(localizer, annotated, predicted)
        comparison.boxes_xyxy[test] = boxes[test]
        cropped = crops(annotated, boxes, margin)
        tables[CAM_BOX] = extract_features(backbone, cropped, on_image=on_image)
        svms[CAM_BOX] = fit_linear_svm(tables[CAM_BOX].take(train))
        for row, table in tables.items():
            comparison.accuracies.setdefault(row, []).append(svms[row].accuracy(table.take(test)))
        if TRUE_BOX in tables:
            comparison.iou_over_half.append(_iou_over_half(boxes[test], truth[test]))
    return comparison


def draw_crops(comparison: FineGrainedComparison, count: int = 6, margin: float = MARGIN) -> np.ndarray:
    """Draw images with their CAM boxes, each beside its crop.

    Args:
        comparison: the result of `compare_crops`.
        count: the number of images, which are chosen at equal distances.
        margin: the `margin` of `compare_crops`.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    pictures, total = [], len(comparison.images)
    for place in np.linspace(0, total - 1, min(count, total)).round().astype(int):
        image, box = comparison.images[place], tuple(comparison.boxes_xyxy[place].tolist())
        pictures += [overlay(image.read(), boxes_xyxy=[box]), CroppedImage(image, box, margin).read()]
    return gallery(pictures, columns=4, cell_wh=(270, 200))


def stratified_folds(labels: np.ndarray, folds: int = 5, repeats: int = 1, seed: int = 0) -> list[Fold]:
    """Divide images into stratified folds for cross-validation.

    Returns:
        `folds * repeats` pairs of indices: of the training images and of the test images.

    Examples:
        >>> [test.tolist() for _, test in stratified_folds(np.array([0, 0, 1, 1]), folds=2)]
        [[1, 2], [0, 3]]
    """
    from sklearn.model_selection import RepeatedStratifiedKFold

    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    return list(splitter.split(np.zeros(len(labels)), labels))


def boxes_of_classes(
    localizer: "keras.Model", annotated: AnnotatedImages, class_ids: np.ndarray, batch_size: int = 32
) -> np.ndarray:
    """Compute the box of one class in each image; the whole image where the map has no box.

    Args:
        localizer: a model as `keras_cam.build_localizer(..., class_ids="input")` makes it.
        annotated: N images, all of which can be read.
        class_ids: (N,), the class in each image.
        batch_size: the number of images in a batch.

    Returns:
        (N, 4) float, xyxy in pixels with half-open maxima.
    """
    size_hw = input_size_hw(localizer.input["images"].shape)
    boxes = []
    for batch in annotated.batches(size_hw, batch_size):
        asked = class_ids[batch.index, None].astype(np.int32)
        rows = localizer.predict_on_batch({"images": batch.images, "class_ids": asked})
        check_finite(rows)
        found = rows["detection_boxes"][:, 0]
        found = np.where(found.any(axis=1, keepdims=True), found, [0.0, 0.0, 1.0, 1.0])
        boxes.append(found[:, [1, 0, 3, 2]] * np.tile(batch.sizes_wh, 2))
    return np.concatenate(boxes)


def crops(annotated: AnnotatedImages, boxes_xyxy: np.ndarray, margin: float = MARGIN) -> AnnotatedImages:
    """Crop images to their boxes. Crops have the names and classes of the images, but no boxes.

    Args:
        annotated: N images.
        boxes_xyxy: (N, 4) in their pixels.
        margin: see `keras_cam.applications.discovery.cropped_image.CroppedImage`.
    """
    cropped = (
        AnnotatedImage(image.name, CroppedImage(image, tuple(box), margin), image.label, (image.label,))
        for image, box in zip(annotated, np.asarray(boxes_xyxy).tolist(), strict=True)
    )
    return AnnotatedImages(annotated.source, annotated.class_names, tuple(cropped))


def _localizer(svm: LinearSvm, backbone: "keras.Model", options: Mapping[str, Any]) -> "keras.Model":
    """A localizer of given classes, whose maps are made of the positive weights only.

    Features with negative weights belong to similar classes; if all classes are of one kind, such as birds,
    that is where the object is.
    """
    positive = LinearSvm(np.maximum(svm.kernel, 0), svm.bias, svm.class_names, svm.cost)
    return build_localizer(attach(positive, backbone), class_ids="input", **options)


def _renumbered(fold: Fold, kept: np.ndarray) -> Fold:
    """The indices of a fold among the images that are kept."""
    positions = np.cumsum(kept) - 1
    train, test = (positions[part[kept[part]]] for part in fold)
    return train, test


def _mean_and_half_width(values: np.ndarray) -> tuple[float, float]:
    """The mean, and half of its 95 % confidence interval (Student's t over the folds)."""
    from scipy.stats import sem, t

    if len(values) < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(sem(values) * t.ppf(0.975, len(values) - 1))


def _iou_over_half(boxes: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(np.asarray(box_ious(boxes[:, None], truth[:, None])) >= 0.5))
