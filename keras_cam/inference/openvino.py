"""Localizers in ONNX files, run by OpenVINO."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.inference.model_file import running
from keras_cam.inference.onnx import OnnxLocalizer


class OpenVinoLocalizer(OnnxLocalizer):
    """A localizer in an ONNX file, computed by OpenVINO on the CPU; see `OnnxLocalizer`.

    Args:
        path: a file from `keras_cam.export.save_onnx`.

    Raises:
        ValueError: the file is not from `save_onnx`.
        ModuleNotFoundError: one of the packages openvino, onnx and onnxruntime is not installed.
    """

    runtime = "openvino"

    def __init__(self, path: str | Path) -> None:
        try:
            import onnx
            import openvino
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "OpenVINO needs the packages openvino and onnx: pip install openvino keras-cam[onnx]"
            ) from error
        super().__init__(path)
        model = onnx.load(path)
        # OpenVINO takes the default value of an input for a constant.
        defaults = [one for one in model.graph.initializer if one.name == "class_ids"]
        for default in defaults:
            model.graph.initializer.remove(default)
        core = openvino.Core()
        self._model = core.compile_model(core.read_model(io.BytesIO(model.SerializeToString())), "CPU")

    def _run(self, outputs: list[str], images: Any, **others: np.ndarray) -> list[np.ndarray]:
        pixels = np.asarray(images, self._dtype)
        asked = others.get("class_ids", np.zeros((len(pixels), 1), np.int32))
        with running(self._path):
            found = self._model({"images": pixels, "class_ids": asked})
        return [np.array(found[name]) for name in outputs]
