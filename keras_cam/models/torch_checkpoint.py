"""Read the tensors of a PyTorch checkpoint without PyTorch."""

import io
import mmap
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np

_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_DTYPES: dict[str, np.dtype] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_RULE = "A checkpoint must be a whole file of `torch.save` with nothing but tensors."


def read_torch_checkpoint(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read a state dict saved by `torch.save`, in its zip format or in the one before PyTorch 1.6.

    Nothing but dicts, lists, numbers, text and tensors can come out of it: the unpickler knows no other class
    or function, so an unknown file cannot run code. It takes no more memory than the file has bytes.

    Args:
        path: a `.pth` file with a state dict, or with a dict whose `state_dict` is one, as training programs
            write it. The `module.` that `DataParallel` puts into names is left out.

    Returns:
        Name to array, in the file's order.

    Raises:
        ValueError: the file is in another format, damaged, or contains other objects.
    """
    try:
        with open(path, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if content[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                return _state_dict(*_read_zip(archive, len(content)))
        return _state_dict(*_read_stream(content))
    except (
        ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError,
        pickle.UnpicklingError, RecursionError, TypeError, ValueError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{_RULE} Received: {str(path)!r} ({str(error) or type(error).__name__})") from error


def _state_dict(pickled: Any, storage: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    if isinstance(pickled, Mapping) and isinstance(pickled.get("state_dict"), Mapping):
        pickled = pickled["state_dict"]
    if (
        not isinstance(pickled, Mapping)
        or not pickled
        or not all(isinstance(each, _Tensor) for each in pickled.values())
    ):
        raise ValueError("not a dict of tensors")
    return {str(name).replace("module.", ""): each.array(storage(each.key)) for name, each in pickled.items()}


def _read_zip(archive: zipfile.ZipFile, size: int) -> tuple[Any, Callable[[str], np.ndarray]]:
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickles = [name for name in entries if name.endswith("data.pkl")]
    if not pickles:
        raise ValueError("a zip file without data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    # torch.save never compresses, and what is not compressed cannot be larger than the file.
    if any(entry.file_size != entry.compress_size for entry in entries.values()):
        raise ValueError("compressed")
    if sum(entry.file_size for entry in entries.values()) > size:
        raise ValueError("its entries overlap")
    if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("its bytes are in big-endian order")
    unpickler = _Unpickler(io.BytesIO(archive.read(f"{folder}data.pkl")))
    pickled, storages = unpickler.load(), dict[str, np.ndarray]()

    def storage(key: str) -> np.ndarray:
        if key not in storages:
            storages[key] = np.frombuffer(archive.read(f"{folder}data/{key}"), unpickler.dtypes[key])
        return storages[key]

    return pickled, storage


def _read_stream(content: mmap.mmap) -> tuple[Any, Callable[[str], np.ndarray]]:
    # Compared as bytes: what a pickle of another kind would do when read is anyone's guess.
    if content.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it begins like something else")
    _Unpickler(content).load()  # protocol version
    _Unpickler(content).load()  # sizes of the platform's types
    unpickler = _Unpickler(content)
    pickled = unpickler.load()
    storages = {key: _read_storage(content, unpickler.dtypes[key]) for key in _Unpickler(content).load()}
    return pickled, storages.__getitem__


def _read_storage(content: mmap.mmap, dtype: np.dtype) -> np.ndarray:
    start = content.tell() + 8
    size = int.from_bytes(content.read(8), "little") * dtype.itemsize
    content.seek(min(start + size, len(content)))
    if start + size > len(content):
        raise ValueError(f"cut off: {max(len(content) - start, 0)} of {size} bytes of a storage")
    return np.frombuffer(content, dtype, size // dtype.itemsize, start)


class _Tensor:
    """A view into a storage that is read later."""

    def __init__(self, storage: Any, offset: int, shape: tuple, strides: tuple, *_: Any) -> None:
        self.key, self.dtype = storage
        self.offset, self.shape, self.strides = offset, shape, strides

    def array(self, storage: np.ndarray) -> np.ndarray:
        itemsize = self.dtype.itemsize
        strides = [stride * itemsize for stride in self.strides]
        # Unlike `as_strided`, this refuses to reach beyond the storage.
        return np.ndarray(self.shape, self.dtype, storage, self.offset * itemsize, strides)


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _Tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}


# The unpickler in C makes a table as long as the largest number that a file gives to an object; the one in
# Python does not.
class _Unpickler(pickle._Unpickler):
    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 wrote some of the published files
        self.dtypes: dict[str, np.dtype] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module in ("torch", "torch.cuda") and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it contains {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, *_ = pid
        self.dtypes[key] = _DTYPES[kind]
        return key, _DTYPES[kind]
