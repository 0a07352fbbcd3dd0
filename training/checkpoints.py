"""The state of a run on disk, from which it goes on after an interruption."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.images.whole_file import whole_file

_NAME = re.compile(r"step-(\d+)\.npz")
_STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run at one step.

    Attributes:
        path: the file.
        state: the progress of the run, JSON values.
        arrays: the values of all variables, by name.
    """

    path: Path
    state: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Checkpoints:
    """The newest checkpoints of a run, each a NumPy archive.

    A file is written under a temporary name, flushed to the disk and renamed, so a file with its final name
    is complete. More than one is kept, in case a file is damaged later.

    Args:
        folder: the folder of the files.
        keep: the number of files to keep.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpoints = Checkpoints(folder)
        ...     for step in (10, 20):
        ...         checkpoints.save(step, {"step": step}, {"weights": np.arange(step)})
        ...     with open(checkpoints.paths()[-1], "r+b") as newest:
        ...         _ = newest.truncate(99)
        ...     checkpoints.latest().state
        {'step': 10}
    """

    def __init__(self, folder: str | Path, keep: int = 2):
        self._folder = Path(folder)
        self._keep = keep

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        files = self._folder.glob("step-*.npz") if self._folder.is_dir() else ()
        return sorted((file for file in files if _NAME.fullmatch(file.name)), key=_step)

    def save(self, step: int, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write a checkpoint and remove old ones.

        Raises:
            OSError: the file cannot be written; the checkpoints that exist are kept.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        members = {_STATE: np.frombuffer(json.dumps(dict(state)).encode(), np.uint8), **arrays}
        path = self._folder / f"step-{step:09d}.npz"
        with whole_file(path) as temporary:
            np.savez(temporary, **members)  # type: ignore[arg-type]
        unfinished = self._folder.glob(".step-*.npz")  # left by runs that were killed
        for old in [*self.paths()[: -self._keep], *unfinished]:
            old.unlink(missing_ok=True)

    def latest(self, complain: Callable[[str], None] = lambda message: None) -> Checkpoint | None:
        """The newest checkpoint that can be read; None if there is none.

        Args:
            complain: called with the error of each newer checkpoint.
        """
        for path in reversed(self.paths()):
            try:
                return read_checkpoint(path)
            # Of a damaged archive, zipfile, NumPy and json may raise any exception.
            except Exception as error:
                complain(f"{path} cannot be read ({error}). Trying the checkpoint before it.")
        return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that `Checkpoints.save` wrote, and verify its checksums."""
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    state = json.loads(arrays.pop(_STATE).tobytes())
    return Checkpoint(path, state, arrays)


def _step(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else -1
