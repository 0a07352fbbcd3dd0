"""How well a localizer localizes: one pass over annotated images gives all figures.

TensorFlow itself is used here for `tf.function`, so that a model is traced once for all batches.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.data import AnnotatedImage, AnnotatedImages, decode_error, to_dataset
from keras_cam.evaluation import BASELINES, Evaluation, ImageResult, main_boxes
from keras_cam.graph.localizer_parts import localizer_parts
from keras_cam.images import input_size_hw
from keras_cam.metrics import box_ious
from keras_cam.metrics.pointing_game import highest_point_xy, is_close
from keras_cam.metrics.zhou2016 import THRESHOLD, heat_map, zhou2016_released
from keras_cam.protocols import PROTOCOLS

if TYPE_CHECKING:
    import keras

_IOU = 0.5


def evaluate(
    localizer: "keras.Model | Any",
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
        localizer: a model as `keras_cam.build_localizer` makes it, or an exported one as
            `keras_cam.file_localizer.load_localizer` opens it. Of its options only the classifier and
            `refine` count: boxes are those of the protocol, with the thresholds of refined maps if maps are
            refined. Of an exported one maps as they are before any refinement are judged.
        annotated: the images, see `keras_cam.data.read_annotations`.
        protocol: how boxes are made, a key of `keras_cam.protocols.PROTOCOLS`. The figures of choe2020 always
            come with it.
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


def _check_classes(localizer: "keras.Model | Any", annotated: AnnotatedImages) -> None:
    import keras

    if isinstance(localizer, keras.Model):
        classes = localizer.get_layer("scores").output.shape[-1]
    else:
        classes = localizer.classes
    highest = max((max(image.labels) for image in annotated), default=-1)
    if highest >= classes:
        raise ValueError(
            f"The model must have the classes of the images. Received: a model of {classes} classes and an "
            f"image of class {highest} ({annotated.class_names[highest]!r})"
        )


def _results(
    localizer: "keras.Model | Any", annotated: AnnotatedImages, protocol: str, batch_size: int, top_k: int
) -> Iterator[ImageResult | str]:
    """What came out for each image, or what is wrong with its file."""
    size_hw, maps_of = _maps_function(localizer, top_k)
    boxes_of = _boxes_function(protocol, _threshold(localizer))
    for batch in to_dataset(annotated, size_hw, batch_size).as_numpy_iterator():
        found = maps_of(batch["images"], batch["labels"])
        found = {**found, **boxes_of(found, batch["images"])}
        good = batch["errors"] == b""
        images = [annotated[index] for index in batch["index"][good].tolist()]
        results = {name: np.asarray(values)[good] for name, values in found.items()}
        judged = _judge(images, batch["sizes_wh"][good], results, protocol, top_k)
        for error in batch["errors"]:
            yield decode_error(error) if error else next(judged)


def _maps_function(
    localizer: "keras.Model | Any", top_k: int
) -> tuple[tuple[int, int], Callable[[Any, Any], dict[str, Any]]]:
    """The size (height, width) of its images; and a function from images and their main classes to:

    `logits` (B, N); `predicted` (B, K), classes, best first; `maps` (B, 1 + K, h, w), those of the main class
    and of the predicted ones, of which boxes are made.
    """
    import keras
    import tensorflow as tf
    from keras import ops

    if not isinstance(localizer, keras.Model):
        return localizer.size_hw, lambda images, labels: _exported_maps(localizer, top_k, images, labels)
    front, back = localizer_parts(localizer)

    @tf.function(reduce_retracing=True)
    def maps_of(images: Any, labels: Any) -> dict[str, Any]:
        *tensors, logits = front(images, training=False)
        predicted = ops.top_k(logits, min(top_k, logits.shape[-1]))[1]
        maps = back([ops.concatenate([labels[:, None], predicted], axis=1), *tensors], training=False)
        best = maps.get("localization_maps", maps["class_activation_maps"])
        return {"logits": logits, "predicted": predicted, "maps": best}

    return input_size_hw(localizer.inputs[0].shape), maps_of


def _exported_maps(
    localizer: Any, top_k: int, images: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    logits = np.asarray(localizer.classify(images))
    # Of equal ones the first counts, as in a Keras model.
    predicted = np.argsort(-logits, axis=1, kind="stable")[:, :top_k].astype(np.int32)
    maps = localizer.cam(images, np.concatenate([labels[:, None], predicted], axis=1))
    return {"logits": logits, "predicted": predicted, "maps": np.asarray(maps)}


def _boxes_function(protocol: str, threshold: Any) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """A function from what `_maps_function` gives and the images to boxes, yxyx in [0, 1], zeros if none:

    `boxes` (B, R, 4) and their `classes` (B, R), which the localization error judges; `main_boxes` (B, T, 4),
    those of the main class.
    """
    import tensorflow as tf

    from keras_cam.layers import MapDetections

    rule = "tight_and_loose" if protocol == "zhou2016_test" else "one_threshold"
    predicted_rows = MapDetections(threshold, rule=rule, boxes_first=False)
    main_rows = MapDetections(threshold, boxes_first=False)

    @tf.function(reduce_retracing=True)
    def boxes_of(found: dict[str, Any], images: Any) -> dict[str, Any]:
        maps, predicted, logits = found["maps"], found["predicted"], found["logits"]
        rows = predicted_rows(maps[:, 1:], predicted, logits, images)
        main = main_rows(maps[:, :1], tf.zeros_like(predicted[:, :1]), logits, images)
        return {
            "classes": rows["detection_classes"],
            "boxes": rows["detection_boxes"],
            "main_boxes": main["detection_boxes"],
        }

    return boxes_of


def _threshold(localizer: "keras.Model | Any") -> Any:
    """The paper's; of refined maps, of which the paper knows nothing, the localizer's own."""
    refined = "localization_maps" in getattr(localizer, "output", ())
    return localizer.get_layer("detections").threshold if refined else THRESHOLD


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
