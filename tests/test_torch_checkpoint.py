"""Checkpoints in both formats of `torch.save`, written here byte by byte: no torch in sight."""

import collections
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from torch_files import Call, Global, Storage, Tensor, checkpoint, dumped, zipped

from keras_cam.models.efficientnet_lite import weights_file
from keras_cam.models.torch_checkpoint import read_torch_checkpoint

RULE = r"A checkpoint must be a whole file of `torch\.save` with nothing but tensors\."


both_formats = pytest.mark.parametrize("saved", [checkpoint, zipped])


def read(tmp_path, content):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    return read_torch_checkpoint(path)


FLOATS = Storage("FloatStorage", "94", np.arange(24, dtype="<f4") / 8)
COUNTS = Storage("LongStorage", "7", np.array([3, -(2**40)], "<i8"))
TENSORS = collections.OrderedDict(
    weight=Tensor(FLOATS, 0, (2, 3, 4), (12, 4, 1)),
    transposed=Tensor(FLOATS, 0, (4, 3), (1, 4)),
    row=Tensor(FLOATS, 20, (4,), (1,)),
    steps=Tensor(COUNTS, 1, (), ()),
)


@both_formats
def test_tensors_are_views_into_shared_storages(saved, tmp_path):
    tensors = read(tmp_path, saved(TENSORS, [FLOATS, COUNTS]))
    assert list(tensors) == ["weight", "transposed", "row", "steps"]
    np.testing.assert_array_equal(tensors["weight"], FLOATS.values.reshape(2, 3, 4))
    np.testing.assert_array_equal(tensors["transposed"], FLOATS.values[:12].reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["row"], [2.5, 2.625, 2.75, 2.875])
    assert tensors["steps"] == -(2**40)
    assert tensors["weight"].dtype == "float32"
    assert tensors["steps"].dtype == "int64"


@both_formats
def test_the_state_dict_in_what_a_training_program_saves_is_read(saved, tmp_path):
    whole = {
        "epoch": 90,
        "arch": "resnet18",
        "best": 0.5,
        "state_dict": {"module.conv1.weight": TENSORS["row"]},
    }
    tensors = read(tmp_path, saved(whole, [FLOATS]))
    assert list(tensors) == ["conv1.weight"]
    np.testing.assert_array_equal(tensors["conv1.weight"], [2.5, 2.625, 2.75, 2.875])


def test_the_published_checkpoint_has_the_published_layers():
    tensors = read_torch_checkpoint(weights_file("lite0"))
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    trained = [t for name, t in tensors.items() if name.rpartition(".")[2] in ("weight", "bias")]
    assert sum(t.size for t in trained) == 4_652_008  # as published: 4.7 million
    assert all(np.isfinite(t).all() for t in trained)


@pytest.mark.parametrize("place", ["first", "among the tensors"])
def test_a_file_cannot_run_code(place, tmp_path):
    flag = tmp_path / "ran"
    attack = Call(os.system, f"touch {flag}")
    content = dumped(attack) if place == "first" else checkpoint({"weight": attack}, [])
    with pytest.raises(ValueError, match=rf"{RULE} .*model\.pth' \((it begins|it contains \w+\.system)"):
        read(tmp_path, content)
    with pytest.raises(ValueError, match=r"it contains \w+\.system"):
        read(tmp_path, zipped({"weight": attack}, []))
    assert not flag.exists()


@pytest.mark.parametrize(
    ("module", "name"), [("builtins", "eval"), ("torch", "HalfStorage"), ("os", "system")]
)
def test_what_is_not_a_tensor_is_named(module, name, tmp_path):
    with pytest.raises(ValueError, match=rf"{RULE} .*it contains {module}\.{name}\)$"):
        read(tmp_path, checkpoint({"weight": Global(module, name)}, []))


def zip_file(**entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


# Opcodes that number an object: the unpickler in C would make a table of 2 ** 31 entries.
HUGE_MEMO = b"\x80\x02}r\xff\xff\xff\x7f."
REFUSED = {
    "a zip file of something else": (zip_file(readme=b""), "without data.pkl"),
    "an empty pickle": (zip_file(**{"archive/data.pkl": b""}), "EOFError|ran out|pickle"),
    "compressed": (zipped(TENSORS, [FLOATS, COUNTS], compression=zipfile.ZIP_DEFLATED), "compressed"),
    "big-endian": (zipped(TENSORS, [FLOATS, COUNTS], byteorder=b"big"), "big-endian"),
    "without a storage": (zipped(TENSORS, [FLOATS]), "no item named"),
    "a damaged zip file": (zipped(TENSORS, [FLOATS, COUNTS])[:-30], "not a zip file"),
    "numbers": (zipped({"a": 1}, []), "not a dict of tensors"),
    "a huge memo": (zip_file(**{"archive/data.pkl": HUGE_MEMO}), "not a dict of tensors"),
    "nothing": (b"", "empty file"),
    "a photo": (b"\xff\xd8\xff\xe0 JPEG", "begins like something else"),
    "text": (b"hello\n", "begins like something else"),
    "another pickle": (pickle.dumps({"a": 1}), "begins like something else"),
    "a pickle without an end": (checkpoint(TENSORS, [FLOATS])[:60], "pickle|EOF|ran out|Error"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_files_are_refused_in_one_line(kind, tmp_path):
    content, reason = REFUSED[kind]
    with pytest.raises(ValueError, match=rf"^{RULE} Received: '.*model\.pth' \([^\n]*({reason})[^\n]*\)$"):
        read(tmp_path, content)


@pytest.mark.parametrize("missing", [1, 8, 16, 20, 100])
def test_a_file_that_was_cut_off_is_refused(missing, tmp_path):
    content = checkpoint(TENSORS, [FLOATS, COUNTS])
    with pytest.raises(ValueError, match=rf"{RULE} .*cut off: \d+ of \d+ bytes of a storage"):
        read(tmp_path, content[:-missing])


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(FLOATS, 0, (25,), (1,)),
        Tensor(FLOATS, 24, (1,), (1,)),
        Tensor(FLOATS, -1, (1,), (1,)),
        Tensor(FLOATS, 0, (2, 2), (1000, 1)),
        Tensor(FLOATS, 0, (2,), (-1,)),
    ],
)
@both_formats
def test_a_tensor_cannot_reach_beyond_its_storage(saved, tensor, tmp_path):
    with pytest.raises(ValueError, match="incompatible with shape of requested array and size of buffer"):
        read(tmp_path, saved({"weight": tensor}, [FLOATS]))
