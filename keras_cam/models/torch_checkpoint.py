"""Read the tensors of a PyTorch checkpoint without PyTorch."""

import pickle
from collections import OrderedDict
from os import PathLike
from typing import Any, BinaryIO

import numpy as np

_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_DTYPES: dict[str, np.dtype] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read_torch_checkpoint(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read a state dict saved by `torch.save` in the format before PyTorch 1.6.

    Nothing but an ordered dict and tensors can come out of it: the unpickler knows no other class or
    function, so an unknown file cannot run code.

    Args:
        path: a `.pth` file in the old format: pickles, followed by the raw storages.

    Returns:
        Name to array, in the file's order.

    Raises:
        ValueError: the file is in another format or cut off.
        pickle.UnpicklingError: it contains other objects.
    """
    with open(path, "rb") as file:
        # Compared as bytes: what a pickle of another kind would do when read is anyone's guess.
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(
                "A checkpoint must be in the format of `torch.save` before PyTorch 1.6, not a zip file. "
                f"Received: {str(path)!r}"
            )
        _Unpickler(file).load()  # protocol version
        _Unpickler(file).load()  # sizes of the platform's types
        tensors = _Unpickler(file).load()
        storages = dict.fromkeys(_Unpickler(file).load())
        by_key = {tensor.key: tensor.dtype for tensor in tensors.values()}
        for key in storages:
            storages[key] = _read_storage(file, by_key[key])
    return {name: tensor.array(storages[tensor.key]) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, dtype: np.dtype) -> np.ndarray:
    size = int.from_bytes(file.read(8), "little") * dtype.itemsize
    storage = file.read(size)
    if len(storage) != size:
        raise ValueError(
            f"A checkpoint must be complete. Received: {len(storage)} of {size} bytes of a storage"
        )
    return np.frombuffer(storage, dtype)


class _Tensor:
    """A view into a storage that is read later."""

    def __init__(self, storage: Any, offset: int, shape: tuple, strides: tuple, *_: Any) -> None:
        _, kind, self.key, *_ = storage
        self.dtype = _DTYPES[kind]
        self.offset, self.shape, self.strides = offset, shape, strides

    def array(self, storage: np.ndarray) -> np.ndarray:
        itemsize = self.dtype.itemsize
        strides = [stride * itemsize for stride in self.strides]
        # Unlike `as_strided`, this refuses to reach beyond the storage.
        return np.ndarray(self.shape, self.dtype, storage, self.offset * itemsize, strides)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"A checkpoint may only contain tensors. Received: {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return pid
