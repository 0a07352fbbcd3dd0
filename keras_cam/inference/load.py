"""A localizer from a name, a file or a model: the one place that tells the kinds apart."""

import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.formats import FORMATS, Format, load_object
from keras_cam.inference.localizer import Localizer
from keras_cam.models.registry import MODELS, PUBLISHED_SUFFIXES
from keras_cam.recipes import DEFAULT_REFINE, NONE, REFINED_IMAGE_SIZE

if TYPE_CHECKING:
    import keras

DEFAULT_MODEL = "efficientnet_lite0"
"""The model that localizes if none is named; its weights come with the package."""

DEFAULT_TOP_K = 5

# What opens a file, by its suffix; a SavedModel is a folder.
_FORMATS = {row.suffix: row for row in FORMATS.values() if row.reader}


def load_localizer(
    model: "str | Path | keras.Model | Localizer" = DEFAULT_MODEL,
    top_k: int | None = None,
    threshold: float | None = None,
    refine: str | None = None,
    method: str | None = None,
    window: Sequence[float] | None = None,
) -> Localizer:
    """Open a localizer.

    Args:
        model: one of

            - a name in `keras_cam.list_models()`, which is built with its ImageNet weights;
            - "keras_hub:" and a preset of an image classifier of keras_hub;
            - a `.keras` file with a classifier or a localizer;
            - a published `.caffemodel` or `.pth` file, see `keras_cam.models.published_weights`;
            - an exported localizer: the folder of a SavedModel, a `.onnx` or a `.tflite` file;
            - a Keras model, classifier or localizer; or a localizer, which is returned unchanged.
        top_k: how many classes are localized, 5 by default.
        threshold: boxes enclose the cells above this fraction of the map's maximum, see
            `keras_cam.build_localizer`.
        refine: the maps from which boxes are made, see there; "auto" by default. A model built by name takes
            images of at least 320 x 320 if its maps may be refined: refinement was measured at that size.
        method: how the class activation maps are made, see there; "auto" by default.
        window: `(low, high)`, the values that become black and white, see there.

    Returns:
        The localizer. `KerasLocalizer.model` is the Keras model in it.

    Raises:
        ValueError: the file cannot be loaded; it holds a model that has no exact class activation map or does
            not take RGB images; or `top_k`, `threshold`, `refine`, `method` or `window` is given for a
            localizer, which keeps the options that it was built with.
        ModuleNotFoundError: the package that runs the file is not installed.

    Examples:
        >>> load_localizer("efficientnet_lite0").size_hw
        (320, 320)
    """
    options: dict[str, Any] = {"top_k": top_k, "threshold": threshold, "refine": refine}
    options |= {"method": method, "window": window}
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(model, str | Path):
        exported = _format(model)
        if exported is not None and exported.reader:
            _refuse(given, str(model))
            return load_object(exported.reader)(model)
    elif not _is_keras_model(model):
        _refuse(given, "a localizer")
        return model
    return _keras_localizer(model, given)


def load_classifier(model: "str | Path | keras.Model", smallest_size: int = 0) -> "keras.Model":
    """A Keras model from its name, built with its ImageNet weights, or from a file.

    Args:
        model: the name; a `.keras` file, or a published `.caffemodel` or `.pth` file; or a Keras model, which
            is returned unchanged.
        smallest_size: a model that is built by name takes images that are at least so many pixels high and
            wide.

    Raises:
        ValueError: the file cannot be loaded, or there are no weights for the name.
    """
    if _is_keras_model(model):
        return model
    import keras_cam

    name, weights, classes = str(model), "imagenet", 1000
    if name.endswith(PUBLISHED_SUFFIXES):
        from keras_cam.models.published_weights import find_network

        weights = name
        name, classes = find_network(name)
    if name.startswith("keras_hub:"):
        return keras_cam.build_model(name)
    if name not in MODELS:
        return _load_keras(model)
    height, width = (max(size, smallest_size) for size in MODELS[name].input_size)
    return keras_cam.build_model(name, weights, classes, (height, width, 3))


def _load_keras(path: Any) -> "keras.Model":
    import keras

    if str(path).endswith(".keras") and os.path.isfile(path) and not _is_whole_archive(path):
        raise ValueError(f"{path} exists, but is no whole .keras file")  # Keras says that it does not exist
    return keras.models.load_model(path, compile=False)


# What Keras reads from its files.
_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}


def _is_whole_archive(path: Any) -> bool:
    """Whether a .keras file has all of its members, and these have their checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and set(archive.namelist()) >= _MEMBERS
    except Exception:  # of a damaged archive, zipfile may raise anything
        return False


def _keras_localizer(model: Any, given: dict[str, Any]) -> Localizer:
    from keras_cam.inference.keras import KerasLocalizer
    from keras_cam.localizer import build_localizer, gives_boxes

    options = {"top_k": DEFAULT_TOP_K, "refine": DEFAULT_REFINE, **given}
    classifier = load_classifier(model, 0 if options["refine"] == NONE else REFINED_IMAGE_SIZE)
    if gives_boxes(classifier):
        _refuse(given, "a localizer" if _is_keras_model(model) else str(model))
        return KerasLocalizer(classifier)
    return KerasLocalizer(build_localizer(classifier, **options))


def is_exported(model: str | Path) -> bool:
    """Whether a name or a file stands for an exported localizer, which keeps its options.

    Examples:
        >>> is_exported("efficientnet_lite0"), is_exported("cam.tflite")
        (False, True)
    """
    return _format(model) is not None


def needs_tensorflow(model: str | Path) -> bool:
    """Whether TensorFlow is imported to open a name or a file.

    Examples:
        >>> needs_tensorflow("efficientnet_lite0"), needs_tensorflow("cam.tflite")
        (True, False)
    """
    exported = _format(model)
    return exported is None or exported.reader_needs_tensorflow


def _format(model: str | Path) -> Format | None:
    """The format of an exported model; None for the name or the file of a Keras model."""
    path = Path(model)
    if str(model) in MODELS:
        return None
    return _FORMATS[""] if path.is_dir() else _FORMATS.get(path.suffix or ".keras")


def _is_keras_model(model: Any) -> bool:
    # Nobody can have made a model without importing Keras, which need not be imported to find that out.
    return "keras" in sys.modules and isinstance(model, sys.modules["keras"].Model)


def _refuse(given: dict[str, Any], received: str) -> None:
    if given:
        names = ", ".join(f"`{name}`" for name in given)
        raise ValueError(
            f"A saved localizer keeps the options that it was built with: {names} must not be given. "
            f"Received: {given} for {received}"
        )
