"""A localizer as a LiteRT (TFLite) file: for phones, browsers, small computers, Python without TensorFlow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_cam.export.build_litert import build_litert, fixed_signatures, litert_path
from keras_cam.export.litert_metadata import ModelCard
from keras_cam.images.whole_file import whole_file

SIGNATURES = ("localize", "classify", "cam")
OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")


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

    Its signatures are `localize`, `classify` and `cam` of `keras_cam.export.Signatures`, for a fixed number
    of images of a fixed size and any number of asked classes. They share the weights, and use only LiteRT's
    own operations. The names of the classes are inside as `labels.txt`, and metadata as other tools read it.

    Args:
        localizer: a model as `keras_cam.build_localizer` makes it, with images as its only input.
        path: the file, `.tflite`. It is written or replaced whole or not at all.
        labels: the names of all classes; see `keras_cam.export.build_signatures`.
        quantization: what numbers become smaller, which needs `keras-cam[litert]`; None, nothing.

            - "float16": weights have 16 bits. The file has half the size.
            - "dynamic": weights have 8 bits: a quarter. Activations are floats between the layers.
            - "int8": the network's activations have 8 bits as well. Images, maps and boxes are floats.
            - "int8_full": the same, and images come as bytes (uint8).
        representative_data: for the last two, 100 images or so like those that the network is going to see: a
            folder of photos, an array (N, H, W, 3) or a dataset.
        image_size: (height, width) of the images, for a localizer that takes any; by default 224 x 224.
        batch_size: how many images the file takes at once.
        card: what the metadata say about the model.

    Returns:
        `path`.

    Raises:
        ValueError: `localizer` is none or has operations that LiteRT lacks, `path` is no .tflite file, the
            quantization is unknown, or there are no images for it.
        ModuleNotFoundError: the package that quantizes is not installed.
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
    with whole_file(file) as unfinished:
        unfinished.write_bytes(content)
    return file
