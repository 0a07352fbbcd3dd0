"""What computes: the table of runtimes, and which of them localizes fastest where we are.

Importing this module imports none of them.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.formats import FORMATS, load_object
from keras_cam.images.whole_file import whole_file
from keras_cam.inference.converted_files import DEFAULT_TASK, converted_file
from keras_cam.inference.load import DEFAULT_MODEL, is_exported, load_localizer, needs_tensorflow
from keras_cam.inference.localizer import Localizer
from keras_cam.models.labels import class_names
from keras_cam.recipes import usual_threshold

if TYPE_CHECKING:
    import keras

AUTO, TENSORFLOW, LITERT = "auto", "tensorflow", "litert"

WORTH_CONVERTING = 500
"""With so many photos, converting a model to LiteRT takes less time than LiteRT saves.

Measured for the default model: 28 s of CPU time to convert it, 76 ms saved for each photo.
"""

# NVIDIA's driver, the same in Windows' Linux, AMD's driver.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")

# How far scores and maps of a converted model may be from Keras' own, the maps as a part of their range.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Runtime:
    """What computes a localizer.

    Attributes:
        summary: what it is, for people.
        format: the key in `keras_cam.formats.FORMATS` of the file that a model is converted to; None: Keras'
            own model.
        reader: "module:class" of the `Localizer` that opens the file; None: the reader of the format.
    """

    summary: str
    format: str | None
    reader: str | None = None


RUNTIMES = {
    TENSORFLOW: Runtime("Keras on TensorFlow", None),
    LITERT: Runtime("LiteRT, the fastest on CPUs", "litert"),
    "onnx": Runtime("ONNX Runtime", "onnx"),
    "openvino": Runtime("OpenVINO", "onnx", "keras_cam.inference.openvino:OpenVinoLocalizer"),
}
"""The runtimes by name."""


@dataclass(frozen=True)
class Task:
    """What a model is opened for.

    Attributes:
        name: tells its converted files from those of other tasks.
        load: from the name or the file of a Keras model, and options, to the localizer that Keras runs.
        compared: from a localizer and images to the arrays in which a converted model must agree with Keras.
    """

    name: str
    load: Callable[..., Localizer]
    compared: Callable[[Localizer, np.ndarray], Mapping[str, np.ndarray]]


def _scores_and_maps(localizer: Localizer, images: np.ndarray) -> dict[str, np.ndarray]:
    found = localizer.localize(images)
    # Classes of equal scores may come in another order.
    return {name: np.sort(found[name], axis=1) for name in ("detection_scores", "class_activation_maps")}


LOCALIZATION = Task(DEFAULT_TASK, load_localizer, _scores_and_maps)


def load_fastest(
    model: "str | Path | keras.Model | Localizer" = DEFAULT_MODEL,
    runtime: str = AUTO,
    photos: int = 1,
    task: Task = LOCALIZATION,
    **options: Any,
) -> Localizer:
    """Open a localizer with the runtime that localizes so many photos fastest.

    A model from a name or a file of Keras runs on TensorFlow if there is a GPU. On a CPU it is converted to
    LiteRT, once: the converted file is kept in the cache of Keras, see
    `keras_cam.inference.converted_files.converted_file`. Without such a file, fewer than `WORTH_CONVERTING`
    photos run on TensorFlow, as does a model that LiteRT cannot compute or computes differently, or that
    looks at photos a second time. What is open or exported already stays as it is.

    Args:
        model: what `keras_cam.load_localizer` takes.
        runtime: a key of `RUNTIMES`; or "auto", as described above.
        photos: how many photos there will be.
        task: what it is opened for.
        **options: further arguments of `task.load`, which is `keras_cam.load_localizer` by default; None is
            the same as not given.

    Raises:
        ValueError: see `keras_cam.load_localizer`; there is no such runtime, or it cannot run the model.
        ModuleNotFoundError: the package of the runtime is not installed.

    Examples:
        >>> load_fastest("efficientnet_lite0", "tensorflow").runtime
        'tensorflow'
    """
    if runtime not in (AUTO, *RUNTIMES):
        raise ValueError(f"`runtime` must be one of {[AUTO, *RUNTIMES]}. Received: runtime={runtime!r}")
    given = _given(options)
    if not isinstance(model, str | Path) or is_exported(model):
        return _as_it_is(model, runtime, given)
    if runtime == AUTO:
        return _automatic(model, photos, given, task)
    if RUNTIMES[runtime].format is None:
        return task.load(model, **given)
    return _open(converted(model, runtime, given, task), runtime, given)


def converted(model: str | Path, runtime: str, options: Mapping[str, Any], task: Task = LOCALIZATION) -> Path:
    """The file of a model for a runtime, from the cache or made now.

    Raises:
        ValueError: the runtime cannot compute the model, or its results differ from those of Keras.
        OSError: the cache cannot be written.
    """
    kind = RUNTIMES[runtime].format or ""
    file = converted_file(model, kind, options, task.name)
    if not file.exists():
        localizer: Any = task.load(model, **options)
        if localizer.looks_at_photos:
            raise ValueError(
                "A second look at the photo itself needs the runtime 'tensorflow'; others look again "
                f"at the input of the network. Received: runtime={runtime!r}"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as unchecked:
            load_object(FORMATS[kind].writer)(localizer.model, unchecked)
            _check_same(localizer, _open(unchecked, runtime, options), task)
    return file


def starts_tensorflow(
    model: str | Path, runtime: str = AUTO, task: Task = LOCALIZATION, **options: Any
) -> bool:
    """Whether `load_fastest` imports TensorFlow, unless it fails.

    Examples:
        >>> starts_tensorflow("efficientnet_lite0", "tensorflow"), starts_tensorflow("cam.tflite")
        (True, False)
    """
    if is_exported(model):
        return needs_tensorflow(model)
    if runtime == AUTO and not _may_have_gpu():
        runtime = LITERT
    return not _is_converted(model, runtime, _given(options), task)


def _is_converted(model: str | Path, runtime: str, options: Mapping[str, Any], task: Task) -> bool:
    kind = RUNTIMES[runtime].format if runtime in RUNTIMES else None
    try:
        return kind is not None and converted_file(model, kind, options, task.name).exists()
    except OSError:  # there is no such model
        return False


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _as_it_is(model: Any, runtime: str, options: Mapping[str, Any]) -> Localizer:
    row = RUNTIMES.get(runtime)
    if row and row.reader and not options and Path(str(model)).suffix == FORMATS[row.format or ""].suffix:
        return load_object(row.reader)(model)
    localizer = load_localizer(model, **options)
    if runtime not in (AUTO, localizer.runtime):
        raise ValueError(
            f"`runtime` must be auto or {localizer.runtime!r} for what is exported or open already. "
            f"Received: runtime={runtime!r}"
        )
    return localizer


def _automatic(model: str | Path, photos: int, options: Mapping[str, Any], task: Task) -> Localizer:
    if not _may_have_gpu() and (photos >= WORTH_CONVERTING or _is_converted(model, LITERT, options, task)):
        # LiteRT may be unable to compute it or not be installed, or the cache cannot be written.
        with suppress(ValueError, OSError, ModuleNotFoundError):
            return _open(converted(model, LITERT, options, task), LITERT, options)
    return task.load(model, **options)


def _open(file: Path, runtime: str, options: Mapping[str, Any]) -> Localizer:
    row = RUNTIMES[runtime]
    localizer = load_object(row.reader or FORMATS[row.format or ""].reader or "")(file)
    localizer.threshold = options.get("threshold")
    if localizer.labels == class_names(localizer.classes):
        localizer.labels = None  # a file has the usual names of a model that carries none
    return localizer


def _may_have_gpu() -> bool:
    """Whether there is the driver of a GPU that TensorFlow can use, without importing TensorFlow."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(map(os.path.exists, _GPU_DEVICES))


def _check_same(localizer: Any, other: Localizer, task: Task = LOCALIZATION) -> None:
    """Raise a `ValueError` unless a localizer finds the same in an image as that of Keras."""
    height, width = localizer.size_hw
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(20 * rows * columns), np.cos(9 * rows), np.sin(7 * columns), np.cos(30 * rows * columns)]
    image = 127.5 + 127 * np.stack([waves[index % 4] for index in range(localizer.channels)], axis=-1)
    one, another = (task.compared(each, image[None].astype(np.float32)) for each in (localizer, other))
    rule = "A converted model must find what Keras finds. Received:"
    threshold = usual_threshold(localizer.model.output) if other.threshold is None else other.threshold
    if not np.isclose(threshold, localizer.threshold or threshold):
        raise ValueError(f"{rule} the threshold {threshold} in place of {localizer.threshold}")
    for name, values in one.items():
        scale = max(1.0, float(np.abs(values).max()))
        difference = float(np.abs(values - another[name]).max()) / scale
        if not difference <= _TOLERANCE:
            raise ValueError(f"{rule} {name} that differ by {difference:.2g}")
