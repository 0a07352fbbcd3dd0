"""How well a localizer localizes: one pass over annotated images gives all figures.

TensorFlow itself is used here for `tf.function`, so that a model is traced once for all batches.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.data import AnnotatedImage, AnnotatedImages, decode_error, to_dataset
from keras_cam.evaluation import BASELINES, Evaluation, ImageResult, main_boxes
from keras_cam.metrics import box_ious
from keras_cam.metrics.pointing_game import points_at
from keras_cam.metrics.zhou2016 import THRESHOLD, heat_map, zhou2016_released
from keras_cam.protocols import PROTOCOLS

if TYPE_CHECKING:
    import keras

_TOP = 5
_IOU = 0.5


def evaluate(
    localizer: "keras.Model",
    annotated: AnnotatedImages,
    protocol: str = "zhou2016",
    model_name: str = "",
    batch_size: int = 32,
    on_result: Callable[[ImageResult | None], None] = lambda result: None,
) -> Evaluation:
    """Judge a localizer on annotated images.

    Images are resized as a whole to the size that the localizer takes. Figures of boxes are about images
    that have a box of their main class.

    Args:
        localizer: a model as `keras_cam.build_localizer` makes it. Of its options only the classifier counts:
            boxes are those of the protocol.
        annotated: the images, see `keras_cam.data.read_annotations`.
        protocol: how boxes are made, a key of `keras_cam.protocols.PROTOCOLS`. The figures of choe2020 always
            come with it.
        model_name: the name that the figures bear.
        batch_size: how many images go through the model at once.
        on_result: called with each image's result, or None for an image that could not be read.

    Returns:
        The figures. Of the images only a few numbers each are kept.

    Raises:
        ValueError: an unknown protocol, or an image of a class that the model does not have.

    Example: a photo of which the annotation says that it shows class 285, a cat, all over.

    >>> import keras_cam
    >>> from skimage import data_dir
    >>> model = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
    >>> whole, label = np.array([[0, 0, 451, 300]], "float32"), np.array([285])
    >>> cat = AnnotatedImage("chelsea", f"{data_dir}/chelsea.png", 285, (285,), whole, label)
    >>> names = tuple(f"class {index}" for index in range(1000))
    >>> figures = evaluate(keras_cam.build_localizer(model), AnnotatedImages("cats", names, (cat,))).to_dict()
    >>> figures["classification_top1_error"], figures["gt_known_accuracy"]
    (0.0, 1.0)
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"`protocol` must be one of {list(PROTOCOLS)}. Received: protocol={protocol!r}")
    _check_classes(localizer, annotated)
    evaluation = Evaluation(model_name, protocol)
    _, height, width, _ = localizer.inputs[0].shape
    size_hw = (height or 224, width or 224)
    run = _inference(localizer, protocol)
    started = time.perf_counter()
    for batch in to_dataset(annotated, size_hw, batch_size).as_numpy_iterator():
        outputs = {name: np.asarray(value) for name, value in run(batch["images"], batch["labels"]).items()}
        for row, error in enumerate(batch["errors"]):
            if error:
                evaluation.failures.append(decode_error(error))
                on_result(None)
                continue
            width, height = batch["sizes_wh"][row].tolist()
            found = _Found(**{name: value[row] for name, value in outputs.items()})
            if protocol == "zhou2016_released":
                found = _released(found, (height, width))
            result = _judge(annotated[int(batch["index"][row])], (width, height), found)
            evaluation.add(result)
            on_result(result)
    evaluation.seconds = time.perf_counter() - started
    return evaluation


@dataclass(frozen=True)
class _Found:
    """What the model found in one image; boxes as yxyx in [0, 1], all zero where there is none."""

    predicted: np.ndarray  # (K,)
    maps: np.ndarray  # (1 + K, h, w): of the main class and of the predicted ones
    classes: np.ndarray  # (R,) and boxes (R, 4): what the localization error judges
    boxes: np.ndarray
    main_boxes: np.ndarray  # (T, 4), of the main class


def _check_classes(localizer: "keras.Model", annotated: AnnotatedImages) -> None:
    classes = localizer.get_layer("scores").output.shape[-1]
    highest = max((max(image.labels) for image in annotated), default=-1)
    if highest >= classes:
        raise ValueError(
            f"The model must have the classes of the images. Received: a model of {classes} classes and an "
            f"image of class {highest} ({annotated.class_names[highest]!r})"
        )


def _inference(localizer: "keras.Model", protocol: str) -> Callable[[Any, Any], dict[str, Any]]:
    """A function from images and their main classes to the fields of `_Found`, with a batch axis."""
    import tensorflow as tf
    from keras import ops

    from keras_cam.layers import MapDetections

    backbone, head = localizer.get_layer("backbone"), localizer.get_layer("class_activation_head")
    rule = "tight_and_loose" if protocol == "zhou2016_test" else "one_threshold"
    detections = MapDetections(THRESHOLD, rule=rule, boxes_first=False)
    main = MapDetections(THRESHOLD, boxes_first=False)

    @tf.function(reduce_retracing=True)
    def run(images: Any, labels: Any) -> dict[str, Any]:
        features = backbone(images, training=False)
        logits = head(features)
        predicted = ops.top_k(logits, min(_TOP, logits.shape[-1]))[1]
        labels = labels[:, None]
        maps = head(features, ops.concatenate([labels, predicted], axis=1))
        rows = detections(maps[:, 1:], predicted, logits, images)
        return {
            "predicted": predicted,
            "maps": maps,
            "classes": rows["detection_classes"],
            "boxes": rows["detection_boxes"],
            "main_boxes": main(maps[:, :1], labels, logits, images)["detection_boxes"],
        }

    return run


def _released(found: _Found, size_hw: tuple[int, int]) -> _Found:
    """The same with the boxes of the authors' program; the largest of each map, as they evaluate it."""
    height, width = size_hw
    boxes = np.zeros((len(found.maps), 4))
    for row, activation_map in enumerate(found.maps):
        largest = zhou2016_released(heat_map(activation_map, size_hw))[:1]
        boxes[row, :] = 0 if not len(largest) else largest[0, [1, 0, 3, 2]] / [height, width, height, width]
    return _Found(found.predicted, found.maps, found.predicted, boxes[1:], boxes[:1])


def _judge(image: AnnotatedImage, size_wh: tuple[int, int], found: _Found) -> ImageResult:
    counted = {
        "classification_top1_error": image.label != found.predicted[0],
        "classification_top5_error": image.label not in found.predicted,
    }
    pixels = np.tile(size_wh, 2)
    truth_yxyx = (main_boxes(image) / pixels)[:, [1, 0, 3, 2]]
    iou = None
    if len(truth_yxyx):
        ious = _ious(found.boxes, truth_yxyx)
        right = (ious >= _IOU) & (found.classes == image.label)
        iou = float(_ious(found.main_boxes, truth_yxyx).max())
        first = found.classes == found.predicted[0]
        counted |= {
            "localization_top1_error": not (right & first).any(),
            "localization_top5_error": not right.any(),
            "gt_known_accuracy": iou >= _IOU,
            "pointing_game": points_at(found.maps[0], main_boxes(image), size_wh),
        }
        counted |= {name: bool(_ious(box, truth_yxyx).max() >= _IOU) for name, box in BASELINES.items()}
    return ImageResult(
        image,
        size_wh,
        tuple(found.predicted.tolist()),
        found.main_boxes[found.main_boxes.any(axis=1)][:, [1, 0, 3, 2]] * pixels,
        found.maps[0],
        iou,
        {name: bool(value) for name, value in counted.items()},
    )


def _ious(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each box its best IoU with one of the others."""
    return np.asarray(box_ious(boxes, others)).max(axis=1)
