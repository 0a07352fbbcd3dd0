"""Export to a LiteRT file for MediaPipe's `ObjectDetector`.

Uses TensorFlow directly for `tf.function`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_cam.export.build_litert import build_litert, fixed_signatures, litert_path
from keras_cam.export.litert import OUTPUTS
from keras_cam.export.litert_metadata import ModelCard
from keras_cam.export.signatures import check_rgb
from keras_cam.images.whole_file import whole_file

# The component search converges in fewer iterations than this factor times the grid's longer side; a spiral
# and a snake that fill the grid take 2.4 times.
_ROUNDS_A_SIDE = 3


def save_mediapipe(
    localizer: keras.Model,
    path: str | Path,
    labels: Sequence[str] | None = None,
    *,
    quantization: str | None = None,
    representative_data: Any = None,
    image_size: tuple[int, int] | None = None,
    card: ModelCard | None = None,
) -> Path:
    """Save a localizer as one LiteRT file for the `ObjectDetector` of MediaPipe Tasks.

    MediaPipe requires a single subgraph with four float outputs. The file therefore has only the signature
    `localize`, without maps, and the search for components is unrolled instead of a loop. For the same
    pixels, boxes, classes and scores equal those of a file from `keras_cam.export.save_litert`; MediaPipe
    resizes images in its own way.

    Args:
        localizer: a model from `keras_cam.build_localizer` with images as its only input.
        path: the file, `.tflite`. It is written or replaced atomically.
        labels, quantization, representative_data, image_size, card: see `save_litert`.

    Returns:
        `path`.

    Raises:
        ValueError, ModuleNotFoundError, OSError: see `save_litert`.

    Reference:
        https://ai.google.dev/edge/mediapipe/solutions/vision/object_detector

    Examples:
        >>> import tempfile
        >>> layers = [keras.layers.Conv2D(8, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
        >>> import keras_cam
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     localizer = keras_cam.build_localizer(model, labels=["cat", "dog"])
        ...     save_mediapipe(localizer, f"{folder}/pets.tflite").stat().st_size > 1000
        True
    """
    file = litert_path(path)
    signatures = fixed_signatures(localizer, labels, image_size)
    check_rgb(localizer, "MediaPipe's `ObjectDetector`")
    localize = signatures.functions["localize"]

    @tf.function(input_signature=localize.input_signature)
    def detect(images: Any) -> dict[str, Any]:
        """The outputs that MediaPipe expects, all float32."""
        outputs = localize.python_function(images)
        return {name: tf.cast(outputs[name], tf.float32) for name in OUTPUTS}

    maps = localizer.output.get("localization_maps", localizer.output["class_activation_maps"])
    sides = [side or _side(size) for side, size in zip(maps.shape[2:], signatures.size_hw, strict=True)]
    content = build_litert(
        signatures,
        {"localize": detect},
        OUTPUTS,
        quantization,
        representative_data,
        card,
        loop_rounds=_ROUNDS_A_SIDE * max(sides),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as unfinished:
        unfinished.write_bytes(content)
    return file


def _side(size: int) -> int:
    """The side of a map for an image side, assuming a stride of at least 8."""
    return -(-size // 8)
