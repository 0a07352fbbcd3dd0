"""The folder of a run: what is in it, and that it belongs to one configuration and one data set."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_cam.images.whole_file import whole_file
from keras_cam.training.checkpoints import Checkpoints
from keras_cam.training.config import ConfigError


class RunFolder:
    """Where a run writes.

    Args:
        path: the folder; it is made.
        writes: whether this process is the one that does. The others only read.

    Attributes:
        checkpoints: what the run goes on from.
    """

    def __init__(self, path: str | Path, writes: bool = True):
        self.path = Path(path)
        self.writes = writes
        self.checkpoints = Checkpoints(self.path / "checkpoints")

    @property
    def model_path(self) -> Path:
        """The trained classifier."""
        return self.path / "model.keras"

    @property
    def pictures_path(self) -> Path:
        """Validation images with their maps and boxes."""
        return self.path / "pictures.png"

    def claim(self, run: Mapping[str, Any]) -> None:
        """Notes what the run is, or checks that it is the one that was begun here.

        Args:
            run: the configuration and what identifies the data, as JSON values.

        Raises:
            ConfigError: if another run was begun in this folder.
        """
        path = self.path / "run.json"
        if path.is_file():
            begun = json.loads(path.read_text(encoding="utf-8"))
            changed = [f"{key} was {old!r}, is {new!r}" for key, old, new in _differences(begun, run)]
            if changed:
                raise ConfigError(
                    f"{self.path} holds a run with another configuration or other data, which goes on only "
                    f"as it was begun. Take another folder for this one. Received: {'; '.join(changed)}"
                )
        elif self.path.is_dir() and self.checkpoints.paths():
            raise ConfigError(f"{self.path} has checkpoints, but no run.json that says whose they are.")
        self.write_text("run.json", json.dumps(run, indent=1))

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file, whole or not at all."""
        if self.writes:
            self.path.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path / name) as unfinished:
                unfinished.write_text(text, encoding="utf-8")

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes history.csv, a row for each epoch."""
        names = dict.fromkeys(name for row in rows for name in row)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write_text("history.csv", text.getvalue())


def _differences(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Where two JSON values differ, as (path, old, new)."""
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
