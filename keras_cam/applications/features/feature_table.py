"""Feature vectors of images with their classes, in memory and in files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.images.whole_file import whole_file

SUFFIXES = (".npz", ".parquet")


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Feature vectors of N images.

    Attributes:
        names: the N ids of the images in their data set.
        vectors: float32 (N, D).
        labels: int64 (N,), the class of each image.
        class_names: the names of all classes, including those without an image.
        failures: an error message for each image that could not be read and has no row. Files do not have it.

    Examples: write a table to a file and read it.
        >>> import tempfile
        >>> table = FeatureTable(("a", "b"), np.eye(2, dtype="float32"), np.array([0, 1]), ("cat", "dog"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table.save(f"{folder}/pets.npz")
        ...     again = FeatureTable.load(f"{folder}/pets.npz")
        >>> again.names, again.vectors.tolist(), again.class_names
        (('a', 'b'), [[1.0, 0.0], [0.0, 1.0]], ('cat', 'dog'))
    """

    names: tuple[str, ...]
    vectors: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    failures: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Any) -> "FeatureTable":
        """Returns a table of some rows, given as integers or as a bool for each row.

        >>> table = FeatureTable(("a", "b"), np.eye(2), np.array([0, 1]), ("cat", "dog"))
        >>> table.take([1]).names
        ('b',)
        """
        names = tuple(np.array(self.names, object)[rows])
        return FeatureTable(names, self.vectors[rows], self.labels[rows], self.class_names, self.failures)

    def save(self, path: str | Path) -> None:
        """Writes the table to a file, which is complete or does not appear.

        Args:
            path: a `.npz` file; or a `.parquet` file with the columns `name`, `label`, `class` and `features`
                (lists), which needs `pip install "keras-cam[discovery]"`.

        Raises:
            ValueError: if `path` has another suffix.
        """
        path = check_suffix(path)
        with whole_file(path) as unfinished:
            _WRITERS[path.suffix](self, unfinished)

    @classmethod
    def load(cls, path: str | Path) -> "FeatureTable":
        """Reads a file that `save` wrote.

        Raises:
            ValueError: if `path` has another suffix.
            OSError: if the file cannot be read.
        """
        path = check_suffix(path)
        return _READERS[path.suffix](path)


def check_suffix(path: str | Path) -> Path:
    """Returns the path; raises `ValueError` unless its suffix is one of `SUFFIXES`."""
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"`path` must end in one of {SUFFIXES}. Received: path={str(path)!r}")
    return Path(path)


def _write_npz(table: FeatureTable, path: Path) -> None:
    np.savez(
        path,
        names=_text(table.names),
        vectors=table.vectors,
        labels=table.labels,
        class_names=_text(table.class_names),
    )


def _read_npz(path: Path) -> FeatureTable:
    with np.load(path) as file:
        names, class_names = (tuple(file[key].tolist()) for key in ("names", "class_names"))
        return FeatureTable(names, file["vectors"], file["labels"], class_names)


def _text(strings: Sequence[str]) -> np.ndarray:
    return np.array(strings, dtype=np.str_)


def _write_parquet(table: FeatureTable, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    size = table.vectors.shape[1]
    flat = pa.array(np.ascontiguousarray(table.vectors, np.float32).reshape(-1))
    columns = {
        "name": pa.array(table.names, pa.string()),
        "label": pa.array(table.labels, pa.int64()),
        "class": pa.array([table.class_names[label] for label in table.labels], pa.string()),
        "features": pa.FixedSizeListArray.from_arrays(flat, size),
    }
    # No row has the names of classes without an image.
    metadata = {"class_names": json.dumps(table.class_names)}
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def _read_parquet(path: Path) -> FeatureTable:
    from pyarrow import parquet

    table = parquet.read_table(path)
    size = table.schema.field("features").type.list_size
    vectors = table["features"].combine_chunks().flatten().to_numpy().reshape(-1, size)
    class_names = tuple(json.loads(table.schema.metadata[b"class_names"]))
    return FeatureTable(tuple(table["name"].to_pylist()), vectors, table["label"].to_numpy(), class_names)


_WRITERS = {".npz": _write_npz, ".parquet": _write_parquet}
_READERS = {".npz": _read_npz, ".parquet": _read_parquet}
