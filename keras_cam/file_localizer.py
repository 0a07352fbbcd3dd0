"""From image files to records: what the command line does, as functions.

TensorFlow itself is used here for a function that is traced once for all batches.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.data.image_batches import decode_error, resized_images
from keras_cam.images import find_images, input_size_hw, read_image
from keras_cam.labels import labels_for, labels_of
from keras_cam.models.registry import MODELS
from keras_cam.recipes import AFFINITY, AUTO, NONE, REFINED_IMAGE_SIZE
from keras_cam.records import FailedImage, Localization, localizations

if TYPE_CHECKING:
    import keras

    from keras_cam.exported_localizer import ExportedLocalizer

# What opens models that are not Keras', by the suffixes of their files; a SavedModel is a folder.
_EXPORTED = {
    "folder": ("keras_cam.saved_model_localizer", "SavedModelLocalizer"),
    ".onnx": ("keras_cam.onnx_localizer", "OnnxLocalizer"),
    ".tflite": ("keras_cam.runtime", "LiteRTLocalizer"),
}


def localize_files(
    localizer: "keras.Model | ExportedLocalizer",
    paths: Iterable[str | Path],
    labels: Sequence[str] | None = None,
    model_name: str = "",
    batch_size: int = 8,
) -> Iterator[Localization | FailedImage]:
    """Localizes what is in image files, one batch at a time, so that any number of files fits into memory.

    The photos are resized as a whole to the size the localizer takes (224 x 224 if it takes any); the boxes
    are in pixels of the photos as `read_image` gives them. A file that cannot be read does not disturb the
    others.

    Args:
        localizer: a model as `keras_cam.build_localizer` makes it, with images as its only input; or an
            exported one.
        paths: files, and folders, which stand for the images below them.
        labels: the names of all classes; None takes those that the localizer carries, or else the usual ones
            of so many classes, or else numbers.
        model_name: the name of the model, for the records.
        batch_size: how many photos go through the model at once.

    Yields:
        For each file, in order, its record or what is wrong with it.

    Raises:
        ValueError: if `localizer` has other inputs or outputs, `batch_size` is not positive, or `labels`
            lacks a class that was found.

    Examples:
        >>> from skimage import data_dir
        >>> localizer = load_localizer("efficientnet_lite0", top_k=2)
        >>> [coffee] = localize_files(localizer, [f"{data_dir}/coffee.png"])
        >>> [detection.label for detection in coffee.detections]
        ['espresso', 'cup']
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size!r}")
    run, size_hw = _inference(localizer)
    labels = labels or class_names(localizer)
    files = [str(path) for path in find_images(paths)]
    photos = resized_images(lambda index: read_image(files[index]), len(files), size_hw)
    for batch in photos.batch(batch_size).prefetch(1).as_numpy_iterator():
        names = [files[index] for index in batch["index"]]
        pixels, sizes_wh, errors = batch["images"], batch["sizes_wh"], batch["errors"]
        readable = errors == b""
        records: Iterator[Localization] = iter(())
        if readable.any():
            outputs = {key: np.asarray(value) for key, value in run(pixels[readable]).items()}
            names_read = [name for name, is_read in zip(names, readable, strict=True) if is_read]
            records = iter(localizations(outputs, names_read, sizes_wh[readable], labels, model_name))
        for name, error in zip(names, errors, strict=True):
            yield FailedImage(name, decode_error(error)) if error else next(records)


def load_localizer(
    model: str | Path, top_k: int = 5, threshold: float | None = None, refine: str = NONE
) -> "keras.Model | ExportedLocalizer":
    """A localizer from the name of a model, from a saved model or from an exported one.

    Args:
        model: a name that `keras_cam.list_models()` knows, which is built with its ImageNet weights; a file
            `.keras` with a classifier, or with a localizer; or what `keras_cam.export` wrote: the folder of a
            SavedModel, a file `.onnx` or `.tflite`. Saved localizers keep all options of their own.
        top_k: how many classes are localized.
        threshold: the part of a map's maximum that a box has to exceed; see `keras_cam.build_localizer`.
        refine: see there, too; "auto" refines the maps of networks that have mid-level features. A model of a
            name then takes images of at least 320 x 320, for which refinement was measured.

    Returns:
        A `keras.Model` as `keras_cam.build_localizer` makes it, or an exported localizer.

    Raises:
        ValueError: if the file cannot be loaded, or holds a model that has no exact class activation map or
            does not take RGB images.
        ModuleNotFoundError: the package that runs the file is not installed.
    """
    kind = "folder" if Path(model).is_dir() else Path(model).suffix
    if str(model) not in MODELS and kind in _EXPORTED:
        module, name = _EXPORTED[kind]
        return getattr(import_module(module), name)(model)
    import keras_cam
    from keras_cam.graph.taps import NoTapsError
    from keras_cam.localizer import check_localizer, gives_boxes

    classifier = load_classifier(model, 0 if refine == NONE else REFINED_IMAGE_SIZE)
    if gives_boxes(classifier):
        check_localizer(classifier)
        return classifier
    options: Any = {"top_k": top_k, "threshold": threshold}
    try:
        localizer = keras_cam.build_localizer(
            classifier, refine=AFFINITY if refine == AUTO else refine, **options
        )
    except NoTapsError:
        if refine != AUTO:
            raise
        localizer = keras_cam.build_localizer(classifier, **options)
    check_localizer(localizer)
    return localizer


def load_classifier(model: str | Path, smallest_size: int = 0) -> "keras.Model":
    """A model from its name, built with its ImageNet weights, or from a `.keras` file.

    Args:
        model: the name or the file.
        smallest_size: a model of a name takes images that are at least so many pixels high and wide.

    Raises:
        ValueError: if the file cannot be loaded, or there are no weights for the name.
    """
    import keras

    import keras_cam

    if str(model) in MODELS:
        height, width = (max(size, smallest_size) for size in MODELS[str(model)].input_size)
        return keras_cam.build_model(str(model), weights="imagenet", input_shape=(height, width, 3))
    return keras.models.load_model(model, compile=False)


def class_count(localizer: Any) -> int | None:
    """How many classes the classifier in a localizer tells apart, or None if it is not one of ours."""
    if _is_exported(localizer):
        return localizer.classes
    with suppress(ValueError):  # no such layer
        return localizer.get_layer("scores").output.shape[-1]
    return None


def class_names(localizer: Any) -> Sequence[str] | None:
    """The names of its classes that a localizer carries, else the usual ones, if it is one of ours."""
    own = localizer.labels if _is_exported(localizer) else labels_of(localizer)
    classes = class_count(localizer)
    return own or (labels_for(classes) if classes else None)


def _is_exported(localizer: Any) -> bool:
    # By what it can do, for asking whether it is a `keras.Model` would import Keras.
    return hasattr(localizer, "size_hw")


def _inference(localizer: Any) -> tuple[Any, tuple[int, int]]:
    """A function from pixels to outputs that is traced once for all batch sizes, and its image size."""
    import tensorflow as tf

    from keras_cam.localizer import check_localizer

    if _is_exported(localizer):
        return localizer.localize, localizer.size_hw
    check_localizer(localizer)
    size_hw = input_size_hw(localizer.inputs[0].shape)
    signature = [tf.TensorSpec((None, *size_hw, 3), localizer.inputs[0].dtype)]

    @tf.function(input_signature=signature)
    def run(images: Any) -> Any:
        return localizer(images, training=False)

    return lambda pixels: run(tf.cast(pixels, signature[0].dtype)), size_hw
