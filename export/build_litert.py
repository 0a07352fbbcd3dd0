"""Build the content of a LiteRT file from the signatures of a localizer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_cam.export.constant_head import with_constant_head
from keras_cam.export.convert_to_litert import convert_to_litert
from keras_cam.export.litert_file import finished_file, without_loops
from keras_cam.export.litert_metadata import ModelCard, litert_metadata
from keras_cam.export.quantize_litert import quantize_litert
from keras_cam.export.representative_images import representative_images
from keras_cam.export.signatures import Signatures, build_signatures
from keras_cam.formats import CALIBRATED, QUANTIZATIONS
from keras_cam.graph import names
from keras_cam.graph.keras_internals import all_layers
from keras_cam.inference.litert import LABELS_FILE
from keras_cam.inference.localizer import MAPS_FILE
from keras_cam.localizer import check_localizer, image_size_hw


def fixed_signatures(
    localizer: keras.Model,
    labels: Sequence[str] | None,
    image_size: tuple[int, int] | None,
    batch_size: int = 1,
) -> Signatures:
    """The signatures of a localizer with a constant head, for a fixed batch size and image size."""
    check_localizer(localizer)
    _check_precision(localizer)
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size!r}")
    if image_size is None:
        image_size = image_size_hw(localizer)
    constant = with_constant_head(localizer)
    return build_signatures(constant, labels, image_size=image_size, batch_size=batch_size)


def _check_precision(localizer: keras.Model) -> None:
    short = [layer.name for layer in all_layers(localizer) if layer.compute_dtype in ("float16", "bfloat16")]
    if short:
        raise ValueError(
            "LiteRT cannot compute in 16 bits. Build the model again after "
            '`keras.config.set_dtype_policy("float32")` and give it the weights by `set_weights`; '
            f'quantization="float16" makes small files. Received: a localizer with {len(short)} layers of '
            f"mixed precision, such as {short[-1]!r}"
        )


def build_litert(
    signatures: Signatures,
    functions: Mapping[str, Any],
    outputs: Sequence[str],
    quantization: str | None = None,
    representative_data: Any = None,
    card: ModelCard | None = None,
    loop_rounds: int | None = None,
) -> bytes:
    """Build the content of a LiteRT file.

    Args:
        signatures: from `fixed_signatures`.
        functions: the signatures of the file, by name. The first is the default, for programs that do not use
            signatures.
        outputs: the names of the default signature's outputs, in the order of the file.
        quantization: a key of `QUANTIZATIONS`, or None for 32-bit floats.
        representative_data: see `representative_images`; for a quantization in `CALIBRATED`.
        card: the description of the model for the metadata.
        loop_rounds: unroll loops into this number of iterations, see `without_loops`. None keeps the loops.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: the quantization is unknown, calibration images are missing or have another size, or the
            model has operations that LiteRT does not support.
    """
    if quantization is not None and quantization not in QUANTIZATIONS:
        raise ValueError(
            f"`quantization` must be None or one of {list(QUANTIZATIONS)}. "
            f"Received: quantization={quantization!r}"
        )
    images, channels = None, signatures.localizer.inputs[0].shape[-1]
    if quantization in CALIBRATED:
        images = representative_images(representative_data, signatures.size_hw, channels)
    head = signatures.localizer.get_layer(names.HEAD)
    model = convert_to_litert(functions, signatures.localizer.variables, head.taped)
    if quantization is not None:
        model = quantize_litert(model, quantization, images)
    if loop_rounds is not None:
        model = without_loops(model, loop_rounds)
    metadata = litert_metadata(card or ModelCard(), signatures.size_hw, outputs, channels)
    files = {LABELS_FILE: "".join(f"{label}\n" for label in signatures.labels), MAPS_FILE: signatures.maps}
    return finished_file(model, next(iter(functions)), outputs, metadata, files)


def litert_path(path: str | Path) -> Path:
    """Return `path` as a `Path` if its suffix is `.tflite`.

    Raises:
        ValueError: the suffix is not `.tflite`.
    """
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: path={str(path)!r}")
    return path
