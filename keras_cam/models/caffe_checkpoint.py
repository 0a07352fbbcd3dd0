"""Read the weights of a Caffe network without Caffe."""

import math
import mmap
from collections.abc import Iterator
from os import PathLike

import numpy as np

# Wire types of the protobuf encoding; a fixed one has always the same number of bytes.
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}

# Field numbers of caffe.proto. A network lists its layers as `layers` (V1LayerParameter) before Caffe 1.0 and
# as `layer` (LayerParameter) since; each has its own numbers for the name and the blobs.
_LAYER_FIELDS = {2: {"name": 4, "blobs": 6}, 100: {"name": 1, "blobs": 7}}
_V0_LAYER = 1
_OLD_SHAPE, _DATA, _SHAPE, _DIM = (1, 2, 3, 4), {5: "<f4", 8: "<f8"}, 7, 1

_MOST_LAYERS, _MOST_BLOBS, _MOST_DIMS = 4096, 8, 8


def read_caffe_checkpoint(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read the tensors of a `.caffemodel`.

    The file is mapped into memory and the arrays are views of it, so reading takes no memory of its own,
    whatever the file says.

    Args:
        path: a binary `NetParameter`, as Caffe's solver saves it: with the layer messages of today
            (`layer`) or those before Caffe 1.0 (`layers`).

    Returns:
        Name to array: `<layer>.weight` for the first blob of a layer, `<layer>.bias` for the second, and
        `<layer>.2` and so on for further ones. Kernels of convolutions have the shape (filters, channels,
        height, width); old files have four dimensions for everything.

    Raises:
        ValueError: the file is not a complete Caffe network with weights; the message says what is wrong.

    Reference:
        Jia et al.: Caffe: Convolutional Architecture for Fast Feature Embedding, 2014; `caffe.proto`.
    """
    try:
        with open(path, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        tensors = _read_network(memoryview(content))
    except ValueError as error:
        raise ValueError(
            f"A .caffemodel must be a complete Caffe network. Received: {str(path)!r} ({error})"
        ) from error
    return tensors


def _read_network(message: memoryview) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    layers = 0
    for number, layer in _fields(message):
        if number in _LAYER_FIELDS and isinstance(layer, memoryview):
            layers += 1
            if layers > _MOST_LAYERS:
                raise ValueError(f"more than {_MOST_LAYERS} layers")
            tensors |= _read_layer(layer, **_LAYER_FIELDS[number])
    if not tensors:
        raise ValueError("no layer with weights in it")
    return tensors


def _read_layer(message: memoryview, name: int, blobs: int) -> dict[str, np.ndarray]:
    layer_name, found = "", []
    for number, value in _fields(message):
        if not isinstance(value, memoryview):
            continue
        if number == name:
            layer_name = bytes(value[:200]).decode("utf-8", "replace")
        elif number == blobs:
            found.append(value)
        elif number == _V0_LAYER and blobs == _LAYER_FIELDS[2]["blobs"]:
            raise ValueError("its layers are of 2013; Caffe's upgrade_net_proto_binary converts them")
        if len(found) > _MOST_BLOBS:
            raise ValueError(f"layer {layer_name!r}: more than {_MOST_BLOBS} blobs")
    kinds = ["weight", "bias", *map(str, range(2, _MOST_BLOBS))]
    try:
        return {f"{layer_name}.{kind}": _read_blob(blob) for kind, blob in zip(kinds, found, strict=False)}
    except ValueError as error:
        raise ValueError(f"layer {layer_name!r}: {error}") from error


def _read_blob(message: memoryview) -> np.ndarray:
    old_shape, shape = [0] * len(_OLD_SHAPE), None
    values = np.zeros(0, "<f4")
    for number, value in _fields(message):
        if number in _DATA:
            if not isinstance(value, memoryview) or len(value) % np.dtype(_DATA[number]).itemsize:
                raise ValueError("its numbers are not packed")
            if values.size:
                raise ValueError("its numbers stand in several pieces")
            values = np.frombuffer(value, _DATA[number])
        elif number == _SHAPE and isinstance(value, memoryview):
            shape = _read_shape(value)
        elif number in _OLD_SHAPE and isinstance(value, int):
            old_shape[number - 1] = value
    dims = old_shape if shape is None else shape
    if math.prod(dims) != values.size:
        raise ValueError(f"{values.size} numbers for the shape {tuple(dims)}")
    return values.reshape(dims)


def _read_shape(message: memoryview) -> list[int]:
    dims: list[int] = []
    for number, value in _fields(message):
        if number != _DIM:
            continue
        if isinstance(value, int):
            dims.append(value)
        else:
            position = 0
            while position < len(value) and len(dims) <= _MOST_DIMS:
                dim, position = _varint(value, position)
                dims.append(dim)
        if len(dims) > _MOST_DIMS:
            raise ValueError(f"more than {_MOST_DIMS} dimensions")
    return dims


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message, in the file's order: number, and integer or bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind}, which Caffe never writes")
        if size > len(message) - position:
            raise ValueError(f"cut off: {len(message) - position} of {size} bytes of a field")
        yield number, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, lowest first, and the position behind it."""
    value = 0
    for index in range(10):
        if position + index >= len(message):
            raise ValueError("cut off within an integer")
        byte = message[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("an integer of more than 64 bits")
