"""How well a localizer localizes: one pass over annotated images gives all figures."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.evaluation.protocols import PROTOCOLS
from keras_cam.evaluation.results import BASELINES, Evaluation, ImageResult, main_boxes
from keras_cam.inference.load import load_localizer
from keras_cam.inference.localizer import Localizer
from keras_cam.metrics import box_ious
from keras_cam.metrics.pointing_game import highest_point_xy, is_close
from keras_cam.metrics.zhou2016 import heat_map, zhou2016_released

if TYPE_CHECKING:
    import keras

_IOU = 0.5


def evaluate(
    localizer: "Localizer | keras.Model | str | Path",
    annotated: AnnotatedImages,
    protocol: str = "zhou2016",
    model_name: str = "",
    batch_size: int = 32,
    on_result: Callable[[ImageResult | None], None] = lambda result: None,
    *,
    top_k: int = 5,
) -> Evaluation:
    """Judge a localizer on annotated images.

    Images are resized as a whole to the size that the localizer takes. Figures of boxes are about images
    that have a box of their main class.

    Args:
        localizer: what `keras_cam.load_localizer` takes, in whatever format it is. Maps and boxes are the
            localizer's own, refined ones if it refines, unless the protocol says otherwise; options that
            choose rows, such as `top_k`, do not matter.
        annotated: the images, see `keras_cam.data.read_annotations`.
        protocol: how boxes are made, a key of `keras_cam.evaluation.PROTOCOLS`. The figures of choe2020 come
            with all of them.
        model_name: the name that the figures bear.
        batch_size: how many images go through the model at once.
        on_result: called with each image's result, or None for an image that could not be read.
        top_k: how many predictions an image has for the second of the classification and localization
            errors; the first ones are always about one.

    Returns:
        The figures. Of the images only a few numbers each are kept.

    Raises:
        ValueError: an unknown protocol, or an image of a class that the model does not have.

    Examples: a photo of which the annotation says that it shows class 285, a cat, all over.
        >>> import keras_cam
        >>> from skimage import data_dir
        >>> model = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
        >>> whole, label = np.array([[0, 0, 451, 300]], "float32"), np.array([285])
        >>> cat = AnnotatedImage("chelsea", f"{data_dir}/chelsea.png", 285, (285,), whole, label)
        >>> names = tuple(f"class {index}" for index in range(1000))
        >>> cats = AnnotatedImages("cats", names, (cat,))
        >>> figures = evaluate(keras_cam.build_localizer(model), cats).to_dict()
        >>> figures["classification_top1_error"], figures["gt_known_accuracy"]
        (0.0, 1.0)
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"`protocol` must be one of {list(PROTOCOLS)}. Received: protocol={protocol!r}")
    if top_k < 1:
        raise ValueError(f"`top_k` must be at least 1. Received: top_k={top_k}")
    localizer = load_localizer(localizer)
    _check_classes(localizer, annotated)
    evaluation = Evaluation(model_name, protocol, top_k)
    started = time.perf_counter()
    for result in _results(localizer, annotated, protocol, batch_size, top_k):
        if isinstance(result, str):
            evaluation.failures.append(result)
            on_result(None)
        else:
            evaluation.add(result)
            on_result(result)
    evaluation.finish(time.perf_counter() - started)
    return evaluation


def _check_classes(localizer: Localizer, annotated: AnnotatedImages) -> None:
    highest = max((max(image.labels) for image in annotated), default=-1)
    if highest >= localizer.classes:
        raise ValueError(
            "The model must have the classes of the images. "
            f"Received: a model of {localizer.classes} classes and an "
            f"image of class {highest} ({annotated.class_names[highest]!r})"
        )


def _results(
    localizer: Localizer, annotated: AnnotatedImages, protocol: str, batch_size: int, top_k: int
) -> Iterator[ImageResult | str]:
    """What came out for each image, or what is wrong with its file."""
    rows_of = _tight_and_loose if protocol == "zhou2016_test" else _own_boxes
    for batch in annotated.batches(localizer.size_hw, batch_size):
        good = batch.readable
        images = [annotated[index] for index in np.array(batch.index)[good]]
        judged: Iterator[ImageResult] = iter(())
        if images:
            labels = np.array([[image.label] for image in images])
            found = localizer.classify_and_cam(batch.images[good], labels, top_k)
            maps = found["class_activation_maps"]
            if protocol not in ("zhou2016_test", "zhou2016_released"):
                maps = found.get("localization_maps", maps)
            found = {**found, "maps": maps, **rows_of(found, batch.images)}
            judged = _judge(images, batch.sizes_wh[good], found, protocol, top_k)
        for error in batch.errors:
            yield error if error is not None else next(judged)


def _own_boxes(found: dict[str, np.ndarray], images: np.ndarray) -> dict[str, np.ndarray]:
    """The boxes of the localizer: those of the predicted classes, and those of the main class."""
    boxes = found["detection_boxes"]
    return {"classes": found["predicted"], "boxes": boxes[:, 1:], "main_boxes": boxes[:, :1]}


def _tight_and_loose(found: dict[str, np.ndarray], images: np.ndarray) -> dict[str, np.ndarray]:
    """The five boxes of the paper's test set result, and the loose one of the main class."""
    from keras_cam.layers import MapDetections

    maps, predicted, logits = found["class_activation_maps"], found["predicted"], found["logits"]
    rows = MapDetections(rule="tight_and_loose", boxes_first=False)(maps[:, 1:], predicted, logits, images)
    main = MapDetections(boxes_first=False)(maps[:, :1], np.zeros_like(predicted[:, :1]), logits, images)
    return {
        "classes": np.asarray(rows["detection_classes"]),
        "boxes": np.asarray(rows["detection_boxes"]),
        "main_boxes": np.asarray(main["detection_boxes"]),
    }


def _judge(
    images: Sequence[AnnotatedImage],
    sizes_wh: np.ndarray,
    found: dict[str, np.ndarray],
    protocol: str,
    top_k: int,
) -> Iterator[ImageResult]:
    """The results of a batch of images."""
    pixels = np.tile(sizes_wh, 2)[:, None]
    boxes, main = (found[name][..., [1, 0, 3, 2]] * pixels for name in ("boxes", "main_boxes"))
    classes, predicted = found["classes"], found["predicted"]
    if protocol == "zhou2016_released":
        boxes = np.stack([_released_boxes(*pair) for pair in zip(found["maps"], sizes_wh, strict=True)])
        main, boxes, classes = boxes[:, :1], boxes[:, 1:], predicted
    truth = _padded([main_boxes(image) for image in images])
    ious, main_ious, fixed_ious = (
        np.max(box_ious(given, truth), axis=2, initial=0.0)
        for given in (boxes, main, np.array(list(BASELINES.values())) * pixels)
    )
    points = [highest_point_xy(maps[0], size) for maps, size in zip(found["maps"], sizes_wh, strict=True)]
    labels = np.array([image.label for image in images])[:, None]
    right, first = (ious >= _IOU) & (classes == labels), classes == predicted[:, :1]
    of_class = {
        "classification_top1_error": predicted[:, 0] != labels[:, 0],
        f"classification_top{top_k}_error": ~(predicted == labels).any(axis=1),
    }
    of_box = {
        "localization_top1_error": ~(right & first).any(axis=1),
        f"localization_top{top_k}_error": ~right.any(axis=1),
        "gt_known_accuracy": (main_ious >= _IOU).any(axis=1),
        "pointing_game": np.asarray(is_close(points, truth)),
        **dict(zip(BASELINES, (fixed_ious >= _IOU).T, strict=True)),
    }
    decided_later = protocol == "choe2020"
    if decided_later:
        main = np.zeros_like(main)
        of_box = {name: of_box[name] for name in ("pointing_game", *BASELINES)}
    for row, image in enumerate(images):
        has_boxes = bool(truth[row].any())
        counted = of_class | of_box if has_boxes else of_class
        yield ImageResult(
            image,
            tuple(sizes_wh[row].tolist()),
            tuple(predicted[row].tolist()),
            main[row][main[row].any(axis=1)],
            found["maps"][row, 0],
            float(main_ious[row].max()) if has_boxes and not decided_later else None,
            {name: bool(answers[row]) for name, answers in counted.items()},
        )


def _released_boxes(maps: np.ndarray, size_wh: np.ndarray) -> np.ndarray:
    """The largest box of each map (K, h, w) by the authors' program, as they evaluate it: (K, 4)."""
    width, height = size_wh.tolist()
    found = [zhou2016_released(heat_map(activation_map, (height, width)))[:1] for activation_map in maps]
    return _padded(found)[:, 0] if any(map(len, found)) else np.zeros((len(maps), 4))


def _padded(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Lists of boxes as one array, filled up with zeros."""
    padded = np.zeros((len(boxes), max(map(len, boxes), default=0), 4), np.float32)
    for row, some in zip(padded, boxes, strict=True):
        row[: len(some)] = some
    return padded
