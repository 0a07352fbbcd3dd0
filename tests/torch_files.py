"""Files in both formats of `torch.save`, written byte by byte, and weights that torch can make as well."""

import collections
import io
import pickle
import struct
import zipfile
import zlib

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C


class Global:
    """Stands for a name of a module that need not be installed."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Storage:
    def __init__(self, kind, key, values):
        self.kind, self.key, self.values = kind, key, values


class Tensor:
    """A view into a storage, as `torch` pickles it."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())


class Call:
    """Anything that calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Writer(pickle._Pickler):  # the one in Python, whose `save` can be extended
    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            return self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        if isinstance(obj, Tensor):
            self.save(Global("torch._utils", "_rebuild_tensor_v2"))
            self.save(obj.arguments)
            return self.write(pickle.REDUCE)
        return super().save(obj, save_persistent_id)

    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", Global("torch", obj.kind), obj.key, "cpu", len(obj.values), None)
        return None


def dumped(obj):
    file = io.BytesIO()
    Writer(file, protocol=2).dump(obj)
    return file.getvalue()


def checkpoint(tensors, storages):
    """Five pickles, then each storage: the number of its values and the values."""
    sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = [MAGIC, 1001, sizes, tensors, [storage.key for storage in storages]]
    raw = [struct.pack("<q", len(s.values)) + s.values.tobytes() for s in storages]
    return b"".join([*map(dumped, head), *raw])


def zipped(tensors, storages, folder="archive", compression=zipfile.ZIP_STORED, byteorder=b"little"):
    """The format since PyTorch 1.6: a pickle and a file for each storage in a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", dumped(tensors))
        archive.writestr(f"{folder}/byteorder", byteorder)
        for storage in storages:
            archive.writestr(f"{folder}/data/{storage.key}", storage.values.tobytes())
    return file.getvalue()


def state_dict_file(arrays, saved=zipped):
    """A file with these float32 arrays."""
    storages, tensors = [], collections.OrderedDict()
    for key, (name, array) in enumerate(arrays.items()):
        storages.append(Storage("FloatStorage", str(key), np.ascontiguousarray(array, "<f4").ravel()))
        strides = [int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)]
        tensors[name] = Tensor(storages[-1], 0, array.shape, tuple(strides))
    return saved(tensors, storages)


def seeded_weights(name, shape):
    """Random weights that keep activations sane; the same wherever NumPy runs."""
    rng, kind = np.random.default_rng(zlib.crc32(name.encode())), name.rpartition(".")[2]
    if kind == "running_var" or (kind == "weight" and len(shape) == 1):
        return rng.uniform(0.5, 1.0, shape).astype("float32")
    if len(shape) == 1:
        return rng.standard_normal(shape, "float32") * np.float32(0.2)
    return rng.standard_normal(shape, "float32") * np.sqrt(2 / np.prod(shape[1:]), dtype="float32")


def seeded_image():
    """One image of RGB pixels in 0..255 with edges and flat parts, (1, 64, 80, 3)."""
    coarse = np.random.default_rng(0).integers(0, 256, (1, 16, 20, 3))
    return np.kron(coarse, np.ones((1, 4, 4, 1))).astype("float32")
