"""Edit the FlatBuffer of a LiteRT file: steps that the converter and the quantizer do not do.

Uses TensorFlow directly for the classes of the file format.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from keras_cam.checksum import NO_CHECKSUM, with_checksum

METADATA_NAME = "TFLITE_METADATA"


def with_lookups(model: bytes) -> bytes:
    """Replace GATHER on the rows of constant matrices by EMBEDDING_LOOKUP.

    Both compute the same, but only EMBEDDING_LOOKUP supports quantized matrices.

    Args:
        model: a LiteRT model in float32.

    Returns:
        The model with the operations replaced.
    """
    tables = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.EMBEDDING_LOOKUP
    code.version = 1
    tables.operatorCodes.append(code)
    for subgraph in tables.subgraphs:
        for operator in subgraph.operators:
            if _takes_rows(tables, subgraph, operator):
                operator.opcodeIndex = len(tables.operatorCodes) - 1
                operator.inputs = operator.inputs[::-1]  # EMBEDDING_LOOKUP takes the indices first
                operator.builtinOptions, operator.builtinOptionsType = None, schema.BuiltinOptions.NONE
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tables))


def _takes_rows(model: Any, subgraph: Any, operator: Any) -> bool:
    if flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) != "GATHER":
        return False
    matrix, rows = (subgraph.tensors[index] for index in operator.inputs)
    return (
        operator.builtinOptions.axis == 0
        and matrix.type == schema.TensorType.FLOAT32
        and model.buffers[matrix.buffer].data is not None
        and (len(matrix.shape), len(rows.shape)) == (2, 1)
    )


def without_loops(model: bytes, rounds: int) -> bytes:
    """Unroll the loops of a model.

    Args:
        model: a LiteRT model in which further iterations of a finished loop change nothing.
        rounds: the number of iterations of each loop.

    Returns:
        A model with one subgraph per signature.
    """
    tables = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    kept = {one.subgraphIndex: place for place, one in enumerate(tables.signatureDefs)}
    for index in kept:
        subgraph = tables.subgraphs[index]
        operators, subgraph.operators = subgraph.operators, []
        results: dict[int, int] = {}  # from the outputs of loops to the tensors that replace them
        for operator in operators:
            operator.inputs = [results.get(tensor, tensor) for tensor in operator.inputs]
            if flatbuffer_utils.opcode_to_name(tables, operator.opcodeIndex) == "WHILE":
                body = tables.subgraphs[operator.builtinOptions.bodySubgraphIndex]
                results |= zip(operator.outputs, _write_out(subgraph, operator, body, rounds), strict=True)
            else:
                subgraph.operators.append(operator)
        subgraph.outputs = [results.get(tensor, tensor) for tensor in subgraph.outputs]
        for signature in tables.signatureDefs:
            if signature.subgraphIndex == index:
                for output in signature.outputs:
                    output.tensorIndex = results.get(output.tensorIndex, output.tensorIndex)
    tables.subgraphs = [tables.subgraphs[index] for index in kept]
    for signature in tables.signatureDefs:
        signature.subgraphIndex = kept[signature.subgraphIndex]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tables))


def _write_out(subgraph: Any, loop: Any, body: Any, rounds: int) -> list[int]:
    """Add copies of a loop's body to a subgraph; returns the tensors with the loop's results."""
    values = list(loop.inputs)
    for _ in range(rounds):
        place = dict(zip(body.inputs, values, strict=True))
        for index, tensor in enumerate(body.tensors):
            if index not in place:
                place[index] = len(subgraph.tensors)
                subgraph.tensors.append(tensor)
        for operator in body.operators:
            copied = copy(operator)
            copied.inputs = [place.get(index, -1) for index in operator.inputs]  # -1: an omitted input
            copied.outputs = [place[index] for index in operator.outputs]
            subgraph.operators.append(copied)
        values = [place[index] for index in body.outputs]
    return values


def finished_file(
    model: bytes, main: str, outputs: Sequence[str], metadata: bytes, files: Mapping[str, str]
) -> bytes:
    """Complete a model for writing: the main signature first, metadata and files added.

    Args:
        model: a LiteRT model.
        main: the default signature, for programs that do not use signatures.
        outputs: the names of its outputs, in the order of the file.
        metadata: see `litert_metadata`.
        files: the texts of files by name, such as the class names. They are appended as a ZIP archive, the
            standard place of files that the metadata refer to.

    Returns:
        The bytes of the file, with a checksum as the comment of the archive.
    """
    tables = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    _put_first(tables, main, outputs)
    _share_quantization(tables)
    _add_metadata(tables, metadata)
    file = io.BytesIO(flatbuffer_utils.convert_object_to_bytearray(tables))
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.comment = NO_CHECKSUM.encode()
    return with_checksum(file.getvalue())


def _put_first(model: Any, main: str, outputs: Sequence[str]) -> None:
    """Make the subgraph of a signature the first one, the default of programs without signatures."""
    [signature] = [one for one in model.signatureDefs if one.signatureKey == main.encode()]
    place = signature.subgraphIndex
    # Only the signatures refer to these subgraphs by index.
    model.subgraphs[0], model.subgraphs[place] = model.subgraphs[place], model.subgraphs[0]
    for one in model.signatureDefs:
        one.subgraphIndex = {0: place, place: 0}.get(one.subgraphIndex, one.subgraphIndex)
    model.signatureDefs.sort(key=lambda one: one.subgraphIndex)
    tensors = {one.name.decode(): one.tensorIndex for one in signature.outputs}
    model.subgraphs[0].outputs = [tensors[name] for name in outputs]


def _add_metadata(model: Any, metadata: bytes) -> None:
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]


def _share_quantization(model: Any) -> None:
    """Let tensors with equal quantization parameters share one table, to make the file smaller.

    Scale and zero point take twelve bytes per channel, for weights and for biases, in every signature.
    """
    shared: dict[tuple[bytes, ...], _WrittenOnce] = {}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            own = tensor.quantization
            if own is not None and own.scale is not None:
                arrays = (own.scale, own.zeroPoint, own.quantizedDimension)
                key = tuple(np.asarray(array).tobytes() for array in arrays)
                tensor.quantization = shared.setdefault(key, _WrittenOnce(own))


class _WrittenOnce:
    """A table that is written once, even if several tables refer to it."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._offset: int | None = None

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        """Called each time a table that refers to this one is written."""
        if self._offset is None:
            self._offset = self._table.Pack(builder)
        return self._offset
