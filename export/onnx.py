"""Export to ONNX: for ONNX Runtime, OpenVINO and others."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cam.checksum import NO_CHECKSUM, with_checksum
from keras_cam.export.plain_operations import plain_operations
from keras_cam.export.signatures import build_signatures
from keras_cam.graph import names
from keras_cam.graph.localizer_parts import localizer_parts
from keras_cam.images.whole_file import whole_file
from keras_cam.inference.localizer import MAPS_FILE


def save_onnx(localizer: keras.Model, path: str | Path, labels: Sequence[str] | None = None) -> Path:
    """Save a localizer as an ONNX file.

    ONNX has no signatures, so one graph has all outputs: those of the localizer; `logits` and `probabilities`
    (B, N) float32; and, for the classes of an optional second input `class_ids` (B, K) int32: `cam`
    (B, K, h, w) float32, the raw maps; `cam_refined` (B, K, h', w') float32, if the localizer refines maps;
    and `cam_boxes` (B, K, 4) float32. The batch size is variable. The class names are in the metadata as
    `labels`, one per line.

    Args:
        localizer: a model from `keras_cam.build_localizer` with images as its only input.
        path: the file, `.onnx`. It is written or replaced atomically.
        labels: the names of all classes; see `keras_cam.export.build_signatures`.

    Returns:
        `path`.

    Raises:
        ValueError: `localizer` is not a localizer, `path` does not end in .onnx, or the number of `labels` is
            not the number of classes.
        ModuleNotFoundError: the packages of the extra `onnx` are not installed.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"`path` must end in .onnx. Received: path={str(path)!r}")
    signatures = build_signatures(localizer, labels)
    try:
        import onnx
        import tf2onnx  # noqa: F401  # Keras calls it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'Export to ONNX needs the packages onnx and tf2onnx: pip install "keras-cam[onnx]"'
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        with plain_operations(split_groups=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras and tf2onnx use deprecated names of NumPy
            _support_gelu()
            _with_all_outputs(localizer).export(unfinished, format="onnx", verbose=False)
        exported = onnx.load(unfinished)
        _let_class_ids_be_left_out(exported.graph)
        _separate_outputs_from_inputs(exported.graph)
        properties = {
            "labels": "\n".join(signatures.labels),
            MAPS_FILE: signatures.maps,
            "checksum": NO_CHECKSUM,
        }
        onnx.helper.set_model_props(exported, properties)
        unfinished.write_bytes(with_checksum(exported.SerializeToString()))
    return path


# From the outputs of `localizer_parts` to the names of outputs in the file.
ASKED_OUTPUTS = {
    "class_activation_maps": "cam",
    "localization_maps": "cam_refined",
    "detection_boxes": "cam_boxes",
}


def _with_all_outputs(localizer: keras.Model) -> keras.Model:
    images = localizer.inputs[0]
    front, back = localizer_parts(localizer)
    class_ids = keras.Input((None,), dtype="int32", name=names.CLASS_IDS)
    # A single row of classes is broadcast to all images.
    rows = class_ids + ops.zeros_like(front.output["logits"][:, :1], dtype="int32")
    asked = back([rows, *front.output["tensors"]])
    outputs = {
        **localizer.output,
        "logits": front.output["logits"],
        "probabilities": front.output["probabilities"],
        **{ASKED_OUTPUTS[name]: tensor for name, tensor in asked.items()},
    }
    model = keras.Model([images, class_ids], outputs)
    model(model.inputs)  # Keras can only export a model that was called
    return model


def _support_gelu() -> None:
    """Teach tf2onnx the complementary error function, of which TensorFlow makes GELU: 1 - erf."""
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class ComplementaryErrorFunction:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
            dtype = ctx.get_dtype(node.output[0])
            shape, output = ctx.get_shape(node.output[0]), node.output[0]
            erf = ctx.make_node("Erf", [node.input[0]], dtypes=[dtype], shapes=[shape])
            one = ctx.make_const(f"{node.name}_one", np.array(1, "float32"))
            ctx.remove_node(node.name)
            inputs = [one.output[0], erf.output[0]]
            ctx.make_node("Sub", inputs, outputs=[output], dtypes=[dtype], shapes=[shape])


def _let_class_ids_be_left_out(graph: Any) -> None:
    """Make `class_ids` optional: an initializer with the name of an input is its default value."""
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1), np.int32), "class_ids"))


def _separate_outputs_from_inputs(graph: Any) -> None:
    """Rename the outputs of loop bodies that are also inputs: OpenVINO does not support equal names."""
    from onnx import helper

    bodies = [helper.get_node_attr_value(node, "body") for node in graph.node if node.op_type == "Loop"]
    for body in bodies:
        inputs = {tensor.name for tensor in body.input}
        for output in body.output:
            if output.name in inputs:
                body.node.append(helper.make_node("Identity", [output.name], [f"{output.name}_passed_on"]))
                output.name += "_passed_on"
