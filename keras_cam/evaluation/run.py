"""How well a localizer localizes: one pass over annotated images gives all figures."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.check_finite import check_finite
from keras_cam.data import AnnotatedImage, AnnotatedImages, match_classes
from keras_cam.evaluation.protocols import PROTOCOLS, Protocol
from keras_cam.evaluation.rates import Rate, judged_outputs, rates
from keras_cam.evaluation.result_parts import ResultParts
from keras_cam.evaluation.results import Evaluation, ImageResult, main_boxes
from keras_cam.images.batches import ImageBatch
from keras_cam.inference.load import load_localizer
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.photo_crops import photo_crops
from keras_cam.metrics import MeanBoxIoU, choe2020
from keras_cam.metrics.matched_boxes import count_matched_boxes
from keras_cam.ops import boxes_from_maps
from keras_cam.recipes import LEAST_AREA, MAX_BOXES, REFINED_THRESHOLD, THRESHOLD

if TYPE_CHECKING:
    import keras


def evaluate(
    localizer: "Localizer | keras.Model | str | Path",
    annotated: AnnotatedImages,
    protocol: str | Protocol = "zhou2016",
    model_name: str = "",
    batch_size: int = 32,
    on_result: Callable[[ImageResult | None], None] = lambda result: None,
    *,
    top_k: int = 5,
    parts: ResultParts | None = None,
) -> Evaluation:
    """Judge a localizer on annotated images.

    Images are resized as a whole to the size that the localizer takes. Figures of boxes are about images
    that have a box of their main class. Each figure is defined by a class in `keras_cam.metrics`.

    Args:
        localizer: what `keras_cam.load_localizer` takes, in any format. Maps and boxes are the localizer's
            own, refined ones if it refines, unless the protocol says otherwise. Options that choose rows,
            such as `top_k`, have no effect.
        annotated: the images, see `keras_cam.data.read_annotations`. Their classes are found among
            those of the model by name, or else by number, see `keras_cam.data.match_classes`.
        protocol: how boxes are made, a key of `keras_cam.evaluation.PROTOCOLS`, or a
            `keras_cam.evaluation.Protocol`.
        model_name: the name of the model in the figures.
        batch_size: how many images go through the model at once.
        on_result: called with each image's result, or None for an image that could not be read.
        top_k: how many predictions an image has for the second of the classification and localization
            errors. The first of them always have one.
        parts: where results are kept in files, so that several processes compute them.

    Returns:
        The figures; with `parts` of a slice, those of its images. Only a few numbers are kept of each image.

    Raises:
        ValueError: an unknown protocol, `top_k` below 1, or a class of the data that the model does not have.
        OSError: a file of `parts` cannot be written.
        NotFiniteError: a `ValueError`, if weights or outputs of the model are NaN or infinite.

    Examples: a photo whose annotation says that all of it is class 285, a cat.
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
    if isinstance(protocol, str):
        if protocol not in PROTOCOLS:
            raise ValueError(
                f"`protocol` must be one of {list(PROTOCOLS)} or a `keras_cam.evaluation.Protocol`. "
                f"Received: protocol={protocol!r}"
            )
        protocol = PROTOCOLS[protocol]()
    if top_k < 1:
        raise ValueError(f"`top_k` must be at least 1. Received: top_k={top_k}")
    localizer = load_localizer(localizer)
    match = match_classes(annotated.class_names, localizer.classes, localizer.labels)
    annotated = match.apply(annotated)
    evaluation = Evaluation(model_name, protocol, top_k, class_names=match.names, remark=match.remark)
    started = time.perf_counter()
    compute = partial(_results, localizer, protocol=protocol, batch_size=batch_size, top_k=top_k)
    for result in parts.each(annotated, batch_size, compute) if parts else compute(annotated):
        if isinstance(result, str):
            evaluation.failures.append(result)
            on_result(None)
        else:
            evaluation.add(result)
            on_result(result)
    evaluation.finish(time.perf_counter() - started)
    return evaluation


def _results(
    localizer: Localizer, annotated: AnnotatedImages, protocol: Protocol, batch_size: int, top_k: int
) -> Iterator[ImageResult | str]:
    """The result of each image, or what is wrong with its file."""
    judges = rates(top_k)
    for batch in annotated.batches(localizer.size_hw, batch_size):
        images = [annotated[index] for index in np.array(batch.index)[batch.readable]]
        judged: Iterator[ImageResult] = iter(())
        if images:
            found = _localize(localizer, batch, images, protocol, top_k)
            judged = _judge(images, annotated.class_names, found, protocol, judges)
        for error in batch.errors:
            yield error if error is not None else next(judged)


def _localize(
    localizer: Localizer,
    batch: ImageBatch,
    images: Sequence[AnnotatedImage],
    protocol: Protocol,
    top_k: int,
) -> dict[str, np.ndarray]:
    """What `Protocol.boxes` takes; `true_class_map` (B, h, w), the maps to be judged; and the boxes of their
    components, `true_class_components` (B, `MAX_BOXES`, 4).
    """
    pixels, sizes_wh = batch.images[batch.readable], batch.sizes_wh[batch.readable]
    crop = photo_crops([image.read for image in images], localizer.size_hw)
    found = localizer.classify_and_cam(pixels, [[image.label] for image in images], top_k, crop)
    check_finite(found)
    maps, threshold = found["class_activation_maps"], THRESHOLD
    if protocol.judges_refined_maps and "localization_maps" in found:
        maps, threshold = found["localization_maps"], localizer.threshold or REFINED_THRESHOLD
    true_class_map = maps[:, 0]
    components, _ = boxes_from_maps(
        true_class_map[:, None], threshold, MAX_BOXES, localizer.size_hw, LEAST_AREA
    )
    return {
        **found,
        "images": pixels,
        "sizes_wh": sizes_wh,
        "true_class_map": true_class_map,
        "true_class_components": np.asarray(components)[:, 0],
    }


def _judge(
    images: Sequence[AnnotatedImage],
    class_names: Sequence[str],
    found: Mapping[str, np.ndarray],
    protocol: Protocol,
    judges: Mapping[str, Rate],
) -> Iterator[ImageResult]:
    """The results of a batch of images."""
    sizes_wh = found["sizes_wh"]
    boxes = protocol.boxes(found)
    y_true, y_pred = _ground_truth(images, sizes_wh), judged_outputs(found, boxes)
    outcomes = {
        name: np.asarray(rate.metric.per_image(y_true, y_pred[rate.judged]))
        for name, rate in judges.items()
        if rate.judged in y_pred
    }
    ious = np.full(len(images), np.nan)
    if "true_class_boxes" in y_pred:
        ious = np.asarray(MeanBoxIoU().per_image(y_true, y_pred["true_class_boxes"]))
    boxes_xyxy = boxes[:, 0][..., [1, 0, 3, 2]] * np.tile(sizes_wh, 2)[:, None]
    for row, image in enumerate(images):
        yield ImageResult(
            image,
            class_names,
            tuple(sizes_wh[row].tolist()),
            tuple(found["predicted"][row].tolist()),
            boxes_xyxy[row][boxes_xyxy[row].any(axis=1)],
            found["true_class_map"][row],
            None if np.isnan(ious[row]) else float(ious[row]),
            {name: bool(values[row]) for name, values in outcomes.items() if not np.isnan(values[row])},
            _box_hits(image, found["true_class_map"][row], sizes_wh[row]),
            _all_boxes(image, found["true_class_components"][row], sizes_wh[row]),
        )


def _all_boxes(image: AnnotatedImage, components: np.ndarray, size_wh: np.ndarray) -> tuple[int, int, int]:
    """How many true boxes and components there are, and how many find one, see `ImageResult`."""
    truth = main_boxes(image)
    found = components[components.any(axis=1)][:, [1, 0, 3, 2]] * np.tile(size_wh, 2)
    return len(truth), len(found), count_matched_boxes(found, truth)


def _ground_truth(images: Sequence[AnnotatedImage], sizes_wh: np.ndarray) -> dict[str, Any]:
    """The `y_true` of the metrics, see `keras_cam.metrics.true_class`."""
    most = max((len(image.boxes_xyxy) for image in images), default=0)
    classes, boxes = np.full((len(images), most), -1), np.zeros((len(images), most, 4))
    for row, image in enumerate(images):
        count = len(image.boxes_xyxy)
        classes[row, :count] = image.box_labels
        boxes[row, :count] = (image.boxes_xyxy / np.tile(sizes_wh[row], 2))[:, [1, 0, 3, 2]]
    labels = np.array([image.label for image in images])
    return {"labels": labels, "classes": classes, "boxes": boxes, "sizes_wh": sizes_wh}


def _box_hits(image: AnnotatedImage, activation_map: np.ndarray, size_wh: np.ndarray) -> np.ndarray | None:
    """At which thresholds the map is right by the definitions of Choe et al., see `ImageResult`."""
    truth = main_boxes(image)
    if not len(truth):
        return None
    width, height = size_wh.tolist()
    return choe2020.box_hits(activation_map, choe2020.inclusive_boxes(truth, (height, width)))
