"""Quantization of LiteRT models: of the network, not of maps and boxes."""

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import numpy as np

from keras_cam.export.litert_file import with_lookups

# Regular expressions for tensor names, which contain the names of the localizer's layers.
_BACKBONE = r"(^|/)backbone(_\d+)?/"
_DETECTIONS = r"(^|/)detections(_\d+)?/"
_IMAGES = r"_images(:\d+)?;?$"


def quantize_litert(model: bytes, quantization: str, images: np.ndarray | None = None) -> bytes:
    """Quantize a LiteRT model made from the signatures of a localizer by `convert_to_litert`.

    Weights have a scale per output channel, the classifier's matrix one per class. Maps and boxes are
    computed in float.

    Args:
        model: a LiteRT model in float32.
        quantization: a key of `keras_cam.formats.QUANTIZATIONS`.
        images: calibration data for a quantization in `keras_cam.formats.CALIBRATED`: float32 (N, H, W, C),
            about 100 images.

    Returns:
        The quantized LiteRT model.

    Raises:
        ModuleNotFoundError: the package for quantization is not installed.
    """
    try:
        from ai_edge_quantizer.quantizer import Quantizer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Quantization needs the package ai-edge-quantizer: pip install keras-cam[litert]"
        ) from error
    with _silence():
        quantizer = Quantizer(with_lookups(model), _recipe(quantization))
        ranges = None if images is None else _ranges(quantizer, model, images)
        result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _recipe(quantization: str) -> Any:
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName
    from ai_edge_quantizer.recipe_manager import AlgorithmName, RecipeManager

    every, recipe = TFLOperationName.ALL_SUPPORTED, RecipeManager()
    if quantization == "float16":
        scale, algorithm = QuantGranularity.TENSORWISE, AlgorithmName.FLOAT_CASTING
        recipe.add_weight_only_config(".*", every, 16, scale, algorithm)
        return recipe.get_quantization_recipe()
    # The converter does not name the model's outputs, so the classifier is selected by operation.
    recipe.add_dynamic_config(".*", TFLOperationName.FULLY_CONNECTED, 8)
    recipe.add_dynamic_config(".*", TFLOperationName.EMBEDDING_LOOKUP, 8)
    if quantization == "dynamic":
        recipe.add_dynamic_config(_BACKBONE, every, 8)
        # With dynamically quantized activations, LiteRT has only a slow kernel for depthwise convolutions.
        recipe.add_weight_only_config(_BACKBONE, TFLOperationName.DEPTHWISE_CONV_2D, 8)
    else:
        recipe.add_static_config(_BACKBONE, every, 8, 8)
    if quantization == "int8_full":
        recipe.add_quantization_config(_IMAGES, TFLOperationName.INPUT, _bytes())
    recipe.add_quantization_config(_DETECTIONS, every, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return recipe.get_quantization_recipe()


def _bytes() -> Any:
    """The quantizer's configuration of uint8 tensors."""
    from ai_edge_quantizer import qtyping

    return qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=False, dtype=qtyping.TensorDataType.UINT
        ),
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        explicit_dequantize=False,
    )


def _ranges(quantizer: Any, model: bytes, images: np.ndarray) -> dict[str, Any]:
    """The range of each tensor over the calibration images, in every signature."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer.calibrator import CalibrationMode

    interpreter = Interpreter(model_content=model)
    data = {}
    for signature in interpreter.get_signature_list():
        details = interpreter.get_signature_runner(signature).get_input_details()
        batch_size = details["images"]["shape"][0]
        count = len(images) // batch_size * batch_size or batch_size
        batches = np.split(np.resize(images, (count, *images.shape[1:])), count // batch_size)
        others = {
            name: np.zeros(one["shape"], one["dtype"]) for name, one in details.items() if name != "images"
        }
        data[signature] = [{"images": batch, **others} for batch in batches]
    ranges = quantizer.calibrate(data, mode=CalibrationMode.CALIBRATION_PROFILER_BASED)
    # One quantization step per grey level, so that pixels are exact.
    pixels = {"min": np.zeros(1), "max": np.full(1, 255.0)}
    return {name: pixels if re.search(_IMAGES, name) else range_ for name, range_ in ranges.items()}


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress the quantizer's progress bar on stderr and its warnings about its own internals."""
    root, handler = logging.getLogger(), logging.NullHandler()
    disabled = root.manager.disable
    root.addHandler(handler)  # without a handler, the first warning would configure the root logger
    logging.disable(logging.WARNING)
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.removeHandler(handler)
