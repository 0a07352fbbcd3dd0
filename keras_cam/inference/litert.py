"""Localizers in LiteRT (TFLite) files, run without TensorFlow and Keras.

This needs NumPy, Pillow and `ai-edge-litert`: `pip install keras-cam[runtime]`; or, on a device too small for
TensorFlow, `pip install --no-deps keras-cam` and these three packages.
"""

import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.inference.localizer import MAPS_FILE, Localizer, maps_in_file
from keras_cam.models.labels import labels_in_file

LABELS_FILE = "labels.txt"
"""The file inside a model file with the names of the classes, one per line."""

_SIGNATURES = ("localize", "classify", "cam")


class LiteRTLocalizer(Localizer):
    """A localizer in a file from `keras_cam.export.save_litert`.

    Several threads may share it; their calls take turns. Threads that must not wait for each other open the
    file once each.

    Args:
        path: the `.tflite` file.
        threads: the number of threads of an inference; None uses LiteRT's default.

    Attributes:
        size_hw: the height and width of the input images.
        classes: the number of classes.
        labels: the names of the classes; None if the file has no names.

    Raises:
        ValueError: the file is not from `save_litert`, or LiteRT cannot load it.
        ModuleNotFoundError: `ai-edge-litert` is not installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self._runners = _signature_runners(path, threads)
        _, height, width, self.channels = (
            self._runners["localize"].get_input_details()["images"]["shape"].tolist()
        )
        self._lock = threading.Lock()  # an interpreter has one set of tensors, which all signatures share
        self.size_hw: tuple[int, int] = (height, width)
        self.classes: int = self._runners["classify"].get_output_details()["logits"]["shape"].tolist()[-1]
        self.labels: tuple[str, ...] | None = labels_in_file(path, _labels(path), self.classes)
        self.map_kind, self.map_method = maps_in_file(_packed(path, MAPS_FILE))

    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """The outputs of the Keras localizer, as `keras_cam.build_localizer` describes them."""
        return self._run("localize", images)

    def classify(self, images: Any) -> np.ndarray:
        """Logits, float32 (B, N)."""
        return self._run("classify", images)["logits"]

    def cam(self, images: Any, class_ids: Any) -> dict[str, np.ndarray]:
        """Maps and boxes of chosen classes (B, K), see `Localizer.cam`."""
        return self._run("cam", images, class_ids=np.asarray(class_ids, np.int32))

    def _run(self, signature: str, images: Any, **others: np.ndarray) -> dict[str, np.ndarray]:
        """Run a signature, in batches of the size for which the file was exported."""
        runner = self._runners[signature]
        pixels = np.asarray(images)
        if pixels.ndim != 4 or pixels.shape[1:] != (*self.size_hw, self.channels):
            height, width = self.size_hw
            raise ValueError(
                f"`images` must be pixels of shape (B, {height}, {width}, {self.channels}). "
                f"Received: an array of shape {pixels.shape}"
            )
        inputs = {"images": _quantized(pixels, runner.get_input_details()["images"]), **others}
        step = int(runner.get_input_details()["images"]["shape"][0])
        count = len(pixels)
        with self._lock:
            batches = [
                runner(**{name: _rows(value, start, step) for name, value in inputs.items()})
                for start in range(0, count, step)
            ]
        return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in batches[0]}


def _signature_runners(path: str | Path, threads: int | None) -> dict[str, Any]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "LiteRT files run with the package ai-edge-litert: pip install keras-cam[runtime]"
        ) from error
    rule = "`path` must be a LiteRT file from `keras_cam.export.save_litert`."
    if not Path(path).is_file():
        raise ValueError(f"{rule} Received: path={str(path)!r} (no such file)")
    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        signatures = list(interpreter.get_signature_list())
        interpreter.allocate_tensors()  # so that errors of LiteRT are raised here, not at the first image
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{rule} Received: path={str(path)!r} ({error})") from error
    if not set(_SIGNATURES) <= set(signatures):
        raise ValueError(f"{rule} Received: path={str(path)!r}, a file with the signatures {signatures}")
    return {name: interpreter.get_signature_runner(name) for name in _SIGNATURES}


def _labels(path: str | Path) -> tuple[str, ...] | None:
    names = _packed(path, LABELS_FILE)
    return None if names is None else tuple(names.decode().splitlines())


def _packed(path: str | Path, name: str) -> bytes | None:
    """A file in the ZIP archive that follows the model in its file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except (zipfile.BadZipFile, KeyError):
        return None


def _quantized(pixels: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Pixels as the input of a model takes them, which may be integers."""
    dtype = details["dtype"]
    if np.issubdtype(dtype, np.floating):
        return pixels.astype(dtype, copy=False)
    scale, zero_point = details["quantization"]
    limits = np.iinfo(dtype)
    return np.clip(np.rint(pixels / scale) + zero_point, limits.min, limits.max).astype(dtype)


def _rows(values: np.ndarray, start: int, count: int) -> np.ndarray:
    """`count` rows from `start` on; beyond the end the last one again."""
    return values[np.minimum(np.arange(start, start + count), len(values) - 1)]
