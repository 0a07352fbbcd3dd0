"""Checkpoints are whole or not there, and the last good one is found."""

import errno

import numpy as np
import pytest

from keras_cam.training.checkpoints import Checkpoints


def arrays(value):
    return {"model/0": np.full((2, 3), value, np.float32), "model/1": np.array(7, np.uint32)}


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    Checkpoints(tmp_path / "new").save(5, {"step": 5, "history": [{"loss": 0.1}]}, arrays(1.5))
    found = Checkpoints(tmp_path / "new").latest()
    assert found.state == {"step": 5, "history": [{"loss": 0.1}]}
    assert found.arrays.keys() == arrays(0).keys()
    assert found.arrays["model/0"].dtype == np.float32
    np.testing.assert_array_equal(found.arrays["model/0"], 1.5)


def test_the_two_newest_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / ".step-000000008.1234.tmp.npz").touch()  # a run that was killed was writing it
    for step in (9, 10, 100, 1000):
        checkpoints.save(step, {}, {})
    assert [path.name for path in checkpoints.paths()] == ["step-000000100.npz", "step-000001000.npz"]
    assert sorted(tmp_path.iterdir()) == checkpoints.paths()


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_taken(tmp_path, damage):
    checkpoints, complaints = Checkpoints(tmp_path), []
    for step in (1, 2):
        checkpoints.save(step, {"step": step}, arrays(step))
    newest = checkpoints.paths()[-1]
    content = newest.read_bytes()
    where = content.index(np.float32(2).tobytes() * 2)
    damaged = {
        "cut": content[: len(content) // 2],
        "changed": content[:where] + b"\xff" + content[where + 1 :],  # only its checksum tells
        "empty": b"",
        "other": b"no archive at all",
    }
    newest.write_bytes(damaged[damage])
    assert checkpoints.latest(complaints.append).state == {"step": 1}
    assert len(complaints) == 1
    assert newest.name in complaints[0]


def test_without_a_good_checkpoint_there_is_none(tmp_path):
    assert Checkpoints(tmp_path / "nowhere").latest() is None
    (tmp_path / "step-000000001.npz").write_bytes(b"")
    assert Checkpoints(tmp_path).latest() is None


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    def fill(path, **members):
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"step": 1}, arrays(1))
    monkeypatch.setattr(np, "savez", fill)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(2, {"step": 2}, arrays(2))
    assert list(tmp_path.iterdir()) == checkpoints.paths()
    assert checkpoints.latest().state == {"step": 1}
