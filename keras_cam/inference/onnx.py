"""Localizers in ONNX files."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.checksum import check_checksum
from keras_cam.images.resize import input_size_hw
from keras_cam.inference.any_number import any_number_of_images
from keras_cam.inference.localizer import MAPS_FILE, Localizer, maps_in_file
from keras_cam.inference.model_file import running
from keras_cam.models.labels import labels_in_file
from keras_cam.recipes import default_image_size

_RULE = "`path` must be an ONNX file from `keras_cam.export.save_onnx`."
_CLASSIFIED = ("logits", "probabilities")
_ASKED = {
    "cam": "class_activation_maps",
    "cam_refined": "localization_maps",
    "cam_boxes": "detection_boxes",
}


class OnnxLocalizer(Localizer):
    """A localizer in an ONNX file, see `keras_cam.inference.Localizer`.

    Args:
        path: a file from `keras_cam.export.save_onnx`.

    Raises:
        ValueError: the file is not from `save_onnx`, or ONNX Runtime cannot load it.
        ModuleNotFoundError: the package onnxruntime is not installed.
    """

    runtime = "onnx"

    def __init__(self, path: str | Path) -> None:
        self._path, (self._session, self._options) = path, _session(path)
        images = self._session.get_inputs()[0]
        outputs = {output.name: output for output in self._session.get_outputs()}
        if images.name != "images" or not outputs.keys() > {*_CLASSIFIED, "cam", "cam_boxes"}:
            raise ValueError(f"{_RULE} Received: path={str(path)!r} with the outputs {sorted(outputs)}")
        self._dtype = np.uint8 if images.type == "tensor(uint8)" else np.float32
        self._localized = sorted(outputs.keys() - {*_CLASSIFIED, *_ASKED})
        self._asked = [name for name in _ASKED if name in outputs]
        # A dimension of any size has a name in place of a number.
        shape = [size if isinstance(size, int) else None for size in images.shape]
        self.size_hw, self.channels = input_size_hw(shape, default_image_size(outputs)), images.shape[-1]
        self.classes: int = outputs["logits"].shape[-1]
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.map_kind, self.map_method = maps_in_file(metadata.get(MAPS_FILE))
        labels = metadata.get("labels")
        self.labels = labels_in_file(path, labels.split("\n") if labels else None, self.classes)

    @any_number_of_images
    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """The outputs of the Keras localizer."""
        return dict(zip(self._localized, self._run(self._localized, images), strict=True))

    @any_number_of_images
    def classify(self, images: Any) -> np.ndarray:
        """Logits (B, N)."""
        return self._run(["logits"], images)[0]

    @any_number_of_images
    def cam(self, images: Any, class_ids: Any) -> dict[str, np.ndarray]:
        """Maps and boxes of chosen classes (B, K), see `Localizer.cam`."""
        found = self._run(self._asked, images, class_ids=np.asarray(class_ids, np.int32))
        return {_ASKED[name]: values for name, values in zip(self._asked, found, strict=True)}

    def _run(self, outputs: list[str], images: Any, **others: np.ndarray) -> list[np.ndarray]:
        inputs = {"images": np.asarray(images, self._dtype), **others}
        with running(self._path):
            return self._session.run(outputs, inputs, self._options)


def _session(path: str | Path) -> tuple[Any, Any]:
    """The file in ONNX Runtime, and options that make it compute nothing but what is asked for."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'ONNX files run with the package onnxruntime: pip install "keras-cam[onnx]"'
        ) from error
    session_options, run_options = onnxruntime.SessionOptions(), onnxruntime.RunOptions()
    session_options.log_severity_level = run_options.log_severity_level = 4  # what it logs it also raises
    run_options.only_execute_path_to_fetches = True
    try:
        content = Path(path).read_bytes()
        check_checksum(content)
        session = onnxruntime.InferenceSession(content, session_options)
    # Its exceptions have no public common ancestor.
    except Exception as error:
        raise ValueError(f"{_RULE} Received: path={str(path)!r} ({error})") from error
    return session, run_options
