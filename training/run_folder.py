"""The folder of a run, which belongs to one configuration and one data set."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from keras_cam.images.whole_file import whole_file
from keras_cam.training.checkpoints import Checkpoints
from keras_cam.training.config import ConfigError

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]


class RunFolder:
    """The files of a run.

    Args:
        path: the folder; it is created if it does not exist.
        writes: whether this process writes to it. With several workers, only the first one does.

    Attributes:
        checkpoints: the checkpoints of the run.
    """

    def __init__(self, path: str | Path, writes: bool = True):
        self.path = Path(path)
        self.writes = writes
        self._lock: IO[str] | None = None
        self.checkpoints = Checkpoints(self.path / "checkpoints")

    @property
    def model_path(self) -> Path:
        """The trained classifier."""
        return self.path / "model.keras"

    @property
    def localizer_path(self) -> Path:
        """The trained classifier as a localizer."""
        return self.path / "localizer.keras"

    @property
    def pictures_path(self) -> Path:
        """Validation images with their maps and boxes."""
        return self.path / "pictures.png"

    @property
    def mistakes_path(self) -> Path:
        """Validation images that are classified wrong, with the map of the class that each is taken for."""
        return self.path / "mistakes.png"

    def claim(self, run: Mapping[str, Any]) -> None:
        """Write what identifies the run, or check that it is the run that was started in this folder.

        Args:
            run: the configuration and what identifies the data, as JSON values.

        Raises:
            ConfigError: another run was started in this folder, or another process trains in it.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"`output` must be a folder. Received: {self.path}, which is a file")
        self._take_lock()
        path = self.path / "run.json"
        if path.is_file():
            try:
                begun = json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"{path} is damaged ({error}). Use another folder for this run.") from error
            changed = [f"{key} was {old!r}, is {new!r}" for key, old, new in _differences(begun, run)]
            if changed:
                raise ConfigError(
                    f"{self.path} holds a run with another configuration or other data, and a run can only "
                    f"go on unchanged. Use another folder for this run. Received: {'; '.join(changed)}"
                )
        elif self.path.is_dir() and self.checkpoints.paths():
            raise ConfigError(
                f"{self.path} has checkpoints, but no run.json with the configuration of their run."
            )
        self.write_text("run.json", json.dumps(run, indent=1))

    def _take_lock(self) -> None:
        """Keep other processes out until `release`, or until this process ends, however it does."""
        if not self.writes or fcntl is None:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        lock = open(self.path / ".lock", "w")  # noqa: SIM115  # as long as the run lasts
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise ConfigError(
                f"Another process trains in {self.path}. Use another folder, or wait for its end."
            ) from error
        except OSError:  # some network file systems have no locks
            pass
        self._lock = lock

    def release(self) -> None:
        """Let other processes train in the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def write_text(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all."""
        if self.writes:
            self.path.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path / name) as unfinished:
                unfinished.write_text(text, encoding="utf-8")

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write history.csv, a row for each epoch."""
        names = dict.fromkeys(name for row in rows for name in row)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write_text("history.csv", text.getvalue())


def _differences(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """The differences of two JSON values, as (path, old, new)."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(key, old.get(key), new.get(key)) for key in {**old, **new}]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(str(position), *pair) for position, pair in enumerate(zip(old, new, strict=True))]
    else:
        return [] if old == new else [(path, old, new)]
    return [
        difference
        for key, one, other in pairs
        for difference in _differences(one, other, f"{path}.{key}" if path else key)
    ]
