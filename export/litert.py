"""Export to LiteRT (TFLite): for phones, browsers, small computers, and Python without TensorFlow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_cam.export.build_litert import build_litert, fixed_signatures, litert_path
from keras_cam.export.litert_metadata import ModelCard
from keras_cam.images.whole_file import whole_file

SIGNATURES = ("localize", "classify", "cam")

OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
"""The outputs that come first in a file, in the order that MediaPipe expects."""


def save_litert(
    localizer: keras.Model,
    path: str | Path,
    labels: Sequence[str] | None = None,
    *,
    quantization: str | None = None,
    representative_data: Any = None,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 1,
    card: ModelCard | None = None,
) -> Path:
    """Save a localizer as one LiteRT file, which `keras_cam.load_localizer` opens without TensorFlow.

    The file has the signatures `localize`, `classify` and `cam` of `keras_cam.export.Signatures`, for a fixed
    batch size and image size; `cam` takes any number of classes. They share the weights and use only LiteRT's
    builtin operations. The file also contains the class names, as `labels.txt`, and standard metadata.

    Args:
        localizer: a model from `keras_cam.build_localizer` with images as its only input.
        path: the file, `.tflite`. It is written or replaced atomically.
        labels: the names of all classes; see `keras_cam.export.build_signatures`.
        quantization: None for float32, or one of the following, which need `keras-cam[litert]`:

            - "float16": 16-bit weights; half the file size.
            - "dynamic": 8-bit weights; a quarter of the file size. Activations stay float between layers.
            - "int8": 8-bit weights and activations of the network. Images, maps and boxes stay float.
            - "int8_full": as "int8", with images as uint8.
        representative_data: calibration data for "int8" and "int8_full", about 100 typical images: a folder
            of photos, an array (N, H, W, 3) or a dataset.
        image_size: (height, width) of the images, for a localizer that takes any size; None: 320 x 320
            if it refines maps, else 224 x 224.
        batch_size: the number of images in a batch.
        card: the description of the model for the metadata.

    Returns:
        `path`.

    Raises:
        ValueError: `localizer` is not a localizer or has operations that LiteRT does not support, `path` does
            not end in .tflite, the quantization is unknown, or its calibration data are missing.
        ModuleNotFoundError: the package for quantization is not installed.
        OSError: the file cannot be written.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import keras_cam
        >>> from keras_cam.inference.litert import LiteRTLocalizer
        >>> layers = [keras.layers.Conv2D(8, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     localizer = keras_cam.build_localizer(model, labels=["cat", "dog"])
        ...     lite = LiteRTLocalizer(save_litert(localizer, f"{folder}/pets.tflite"))
        >>> lite.labels, lite.localize(np.zeros((3, 32, 32, 3)))["detection_boxes"].shape
        (('cat', 'dog'), (3, 2, 4))
    """
    file = litert_path(path)
    signatures = fixed_signatures(localizer, labels, image_size, batch_size)
    functions = {name: signatures.functions[name] for name in SIGNATURES}
    outputs = [*OUTPUTS, *sorted(set(localizer.output) - set(OUTPUTS))]
    content = build_litert(signatures, functions, outputs, quantization, representative_data, card)
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as unfinished:
        unfinished.write_bytes(content)
    return file
