"""Localizers in LiteRT (TFLite) files, run without TensorFlow and Keras.

It takes NumPy, Pillow and `ai-edge-litert`: `pip install keras-cam[runtime]`, or on a device too small for
TensorFlow `pip install --no-deps keras-cam` and these three by name.
"""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_cam.images import ImageError, find_images, read_image
from keras_cam.records import FailedImage, Localization, localizations

LABELS_FILE = "labels.txt"
"""The file inside a model file that names the classes, one a line."""

_SIGNATURES = ("localize", "classify", "cam")


class LiteRTLocalizer:
    """A localizer in a file that `keras_cam.export.save_litert` wrote.

    It can be called from one thread at a time.

    Args:
        path: the `.tflite` file.
        threads: how many threads compute; None leaves it to LiteRT.

    Attributes:
        size_hw: the height and width of the images it takes.
        classes: how many classes it tells apart.
        labels: their names; None if the file has none.

    Raises:
        ValueError: the file is none that `save_litert` wrote, or LiteRT cannot load it.
        ModuleNotFoundError: `ai-edge-litert` is not installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self._runners = _signature_runners(path, threads)
        _, height, width, _ = self._runners["localize"].get_input_details()["images"]["shape"].tolist()
        self.size_hw: tuple[int, int] = (height, width)
        self.classes: int = self._runners["classify"].get_output_details()["logits"]["shape"].tolist()[-1]
        self.labels: tuple[str, ...] | None = _labels(path)

    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """Classes, maps and boxes.

        Args:
            images: RGB pixels 0..255 (B, H, W, 3), of the size `size_hw`.

        Returns:
            What a Keras localizer returns, as arrays: `detection_boxes` (B, R, 4) float32 ymin, xmin, ymax,
            xmax in [0, 1], `detection_classes` (B, R) int32, `detection_scores` (B, R) float32,
            `num_detections` (B,) int32, `class_activation_maps` (B, R, h, w) float32.
        """
        return self._run("localize", images)

    def classify(self, images: Any) -> np.ndarray:
        """The logits (B, N) float32 of RGB pixels 0..255 (B, H, W, 3)."""
        return self._run("classify", images)["logits"]

    def cam(self, images: Any, class_ids: Any) -> np.ndarray:
        """The raw maps (B, K, h, w) float32 of chosen classes.

        Args:
            images: RGB pixels 0..255 (B, H, W, 3).
            class_ids: integers (B, K), the classes of each image.
        """
        return self._run("cam", images, class_ids=np.asarray(class_ids, np.int32))["class_activation_maps"]

    def _run(self, signature: str, images: Any, **others: np.ndarray) -> dict[str, np.ndarray]:
        """Run a signature on as many images at a time as the file was made for."""
        runner = self._runners[signature]
        pixels = np.asarray(images)
        if pixels.ndim != 4 or pixels.shape[1:] != (*self.size_hw, 3):
            raise ValueError(
                f"`images` must be RGB pixels of shape (B, {self.size_hw[0]}, {self.size_hw[1]}, 3). "
                f"Received: an array of shape {pixels.shape}"
            )
        inputs = {"images": _quantized(pixels, runner.get_input_details()["images"]), **others}
        step = int(runner.get_input_details()["images"]["shape"][0])
        count = len(pixels)
        batches = [
            runner(**{name: _rows(value, start, step) for name, value in inputs.items()})
            for start in range(0, count, step)
        ]
        return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in batches[0]}


def localize_files(
    localizer: LiteRTLocalizer,
    paths: Iterable[str | Path],
    labels: Sequence[str] | None = None,
    model_name: str = "",
) -> Iterator[Localization | FailedImage]:
    """Localizes what is in image files, like `keras_cam.file_localizer.localize_files`.

    Args:
        localizer: a localizer from a LiteRT file.
        paths: files, and folders, which stand for the images below them.
        labels: the names of all classes; None takes those in the file.
        model_name: the name of the model, for the records.

    Yields:
        For each file, in order, its record or what is wrong with it.
    """
    for path in find_images(paths):
        try:
            photo = read_image(path)
        except ImageError as error:
            yield FailedImage(str(path), str(error))
            continue
        outputs = localizer.localize(resize(photo, localizer.size_hw)[None])
        height, width, _ = photo.shape
        yield from localizations(
            outputs, [str(path)], [(width, height)], labels or localizer.labels, model_name
        )


def resize(photo: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resize a photo as a whole as the rest of the package does: bicubic, antialiased, cut to 0..255.

    Args:
        photo: uint8 (H, W, 3).
        size_hw: the height and width it gets.

    Returns:
        float32 (height, width, 3), `tf.image.resize` to 1/100 of a grey level.

    Examples:
        >>> resize(np.full((4, 6, 3), 7, np.uint8), (2, 2))[0, 0].tolist()
        [7.0, 7.0, 7.0]
    """
    height, width = size_hw
    # Channel by channel as float, because Pillow cuts and rounds RGB between its two passes.
    channels = [Image.fromarray(photo[..., channel].astype(np.float32)) for channel in range(3)]
    resized = [channel.resize((width, height), Image.Resampling.BICUBIC) for channel in channels]
    return np.clip(np.stack([np.asarray(channel) for channel in resized], axis=-1), 0.0, 255.0)


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
        interpreter.allocate_tensors()  # here, and not at the first image, LiteRT has its say
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{rule} Received: path={str(path)!r} ({error})") from error
    if not set(_SIGNATURES) <= set(signatures):
        raise ValueError(f"{rule} Received: path={str(path)!r}, a file with the signatures {signatures}")
    return {name: interpreter.get_signature_runner(name) for name in _SIGNATURES}


def _labels(path: str | Path) -> tuple[str, ...] | None:
    """The names of the classes, from the ZIP archive that follows the model in its file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.read(LABELS_FILE).decode().splitlines())
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
