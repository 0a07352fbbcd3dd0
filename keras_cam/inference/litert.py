"""Localizers in LiteRT (TFLite) files, run without TensorFlow and Keras.

This needs NumPy, Pillow and `ai-edge-litert`: `pip install keras-cam[runtime]`; or, on a device too small for
TensorFlow, `pip install --no-deps keras-cam` and these three packages.
"""

import io
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.checksum import check_checksum
from keras_cam.images.processors import usable_processors
from keras_cam.inference.any_number import any_number_of_images
from keras_cam.inference.localizer import MAPS_FILE, Localizer, maps_in_file
from keras_cam.inference.model_file import running
from keras_cam.models.labels import labels_in_file

LABELS_FILE = "labels.txt"
"""The file inside a model file with the names of the classes, one per line."""

_SIGNATURES = ("localize", "classify", "cam")
_RULE = "`path` must be a LiteRT file from `keras_cam.export.save_litert`."


class LiteRTLocalizer(Localizer):
    """A localizer in a file from `keras_cam.export.save_litert`.

    The images of a batch are shared among interpreters with one thread each, which is faster than one
    interpreter with several threads; a single image is processed by all threads together. All interpreters
    map the same file into memory.

    Several threads may share it; their calls take turns. Threads that must not wait for each other open the
    file once each.

    Args:
        path: the `.tflite` file.
        threads: how many threads compute; None: one a processor, see
            `keras_cam.images.processors.usable_processors`.

    Attributes:
        size_hw: the height and width of the input images.
        classes: the number of classes.
        labels: the names of the classes; None if the file has no names.

    Raises:
        ValueError: the file is not from `save_litert`, or LiteRT cannot load it.
        ModuleNotFoundError: `ai-edge-litert` is not installed.
    """

    runtime = "litert"

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self._path, self._threads = path, threads or usable_processors()
        # Kept, so that all interpreters run the same model, whatever becomes of the file.
        self._content = _content(path)
        self._runners = _signature_runners(path, self._content, self._threads)
        images = self._runners["localize"].get_input_details()["images"]["shape"].tolist()
        self._step, height, width, self.channels = images
        self._local = threading.local()
        self._lock = threading.Lock()  # an interpreter has one set of tensors, which all signatures share
        self.size_hw: tuple[int, int] = (height, width)
        self.classes: int = self._runners["classify"].get_output_details()["logits"]["shape"].tolist()[-1]
        self.takes_ranks = "logits" in self._runners["cam"].get_output_details()  # older files do not
        self.labels: tuple[str, ...] | None = labels_in_file(path, self._labels(), self.classes)
        self.map_kind, self.map_method = maps_in_file(self._packed(MAPS_FILE))

    @any_number_of_images
    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """The outputs of the Keras localizer, as `keras_cam.build_localizer` describes them."""
        return self._run("localize", images)

    @any_number_of_images
    def classify(self, images: Any) -> np.ndarray:
        """Logits, float32 (B, N)."""
        return self._run("classify", images)["logits"]

    @any_number_of_images
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
        count = len(pixels)
        steps = [
            {name: _rows(value, start, self._step) for name, value in inputs.items()}
            for start in range(0, count, self._step)
        ]
        with self._lock, running(self._path):
            batches = self._run_steps(signature, steps)
        return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in batches[0]}

    def _run_steps(self, signature: str, steps: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Run a signature for each of the batches that the file takes."""
        if self._threads == 1 or len(steps) == 1:
            return [self._runners[signature](**step) for step in steps]
        return list(self._pool.map(lambda step: self._runners_of_this_thread()[signature](**step), steps))

    def _labels(self) -> tuple[str, ...] | None:
        names = self._packed(LABELS_FILE)
        return None if names is None else tuple(names.decode().splitlines())

    def _packed(self, name: str) -> bytes | None:
        """A file in the ZIP archive that follows the model in its file."""
        try:
            with zipfile.ZipFile(io.BytesIO(self._content)) as archive:
                return archive.read(name)
        except KeyError:
            return None
        except (zipfile.BadZipFile, ValueError) as error:
            raise ValueError(
                f"{self._path} is damaged: the archive at its end is missing or broken ({error})"
            ) from error

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, "keras_cam_litert")

    def _runners_of_this_thread(self) -> dict[str, Any]:
        """The runners of an interpreter with one thread, which this thread of the pool has for itself."""
        if not hasattr(self._local, "runners"):
            self._local.runners = _signature_runners(self._path, self._content, 1)
        return self._local.runners


def _content(path: str | Path) -> bytes:
    if not Path(path).is_file():
        raise ValueError(f"{_RULE} Received: path={str(path)!r} (no such file)")
    try:
        content = Path(path).read_bytes()
        check_checksum(content)
    except (ValueError, OSError) as error:
        raise ValueError(f"{_RULE} Received: path={str(path)!r} ({error})") from error
    return content


def _signature_runners(path: str | Path, content: bytes, threads: int) -> dict[str, Any]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "LiteRT files run with the package ai-edge-litert: pip install keras-cam[runtime]"
        ) from error
    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        signatures = list(interpreter.get_signature_list())
        interpreter.allocate_tensors()  # so that errors of LiteRT are raised here, not at the first image
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{_RULE} Received: path={str(path)!r} ({error})") from error
    if not set(_SIGNATURES) <= set(signatures):
        raise ValueError(f"{_RULE} Received: path={str(path)!r}, a file with the signatures {signatures}")
    return {name: interpreter.get_signature_runner(name) for name in _SIGNATURES}


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
