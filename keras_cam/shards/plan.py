"""The plan of a run: which photos are in which part, and how they are localized."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from keras_cam.shards.part_formats import PART_FORMATS

PLAN_FILE = "_plan.json"
"""The name of the plan beside its parts. Readers of whole folders skip names that begin like this."""


@dataclass(frozen=True)
class Plan:
    """How a list of photos becomes parts. Everybody who has the same list and options makes the same plan.

    Attributes:
        images: the number of photos.
        images_digest: a digest of their names, see `digest_of_names`.
        shard_size: how many photos are in a part; the last part may have fewer.
        model: the name of the model, or its file.
        model_digest: what tells files of models apart.
        options: what else decides about rows, JSON-ready.
        part_format: a key of `keras_cam.shards.part_formats.PART_FORMATS`.

    Raises:
        ValueError: there are no photos, `shard_size` is less than 1, or there is no such format.

    Examples:
        >>> plan = Plan(2500, digest_of_names([]), shard_size=1000)
        >>> plan.shards, plan.part(2), plan.range_of(2)
        (3, 'part-00002-of-00003.parquet', range(2000, 2500))
    """

    images: int
    images_digest: str
    shard_size: int = 1000
    model: str = ""
    model_digest: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    part_format: str = "parquet"

    def __post_init__(self) -> None:
        if self.images < 1 or self.shard_size < 1 or self.part_format not in PART_FORMATS:
            raise ValueError(
                "`images` and `shard_size` must be at least 1, and `part_format` one of "
                f"{list(PART_FORMATS)}. Received: {self.images}, {self.shard_size}, {self.part_format!r}"
            )

    @property
    def shards(self) -> int:
        """The number of shards, and of parts."""
        return -(-self.images // self.shard_size)

    def range_of(self, shard: int) -> range:
        """The positions in the list of the photos of a shard."""
        return range(self.images)[shard * self.shard_size : (shard + 1) * self.shard_size]

    def size(self, shards: Iterable[int]) -> int:
        """The number of photos in some shards."""
        return sum(len(self.range_of(shard)) for shard in shards)

    def part(self, shard: int) -> str:
        """The name of the file of a shard, counted from 0."""
        width = max(5, len(str(self.shards)))
        return f"part-{shard:0{width}}-of-{self.shards:0{width}}{PART_FORMATS[self.part_format].suffix}"

    def missing(self, folder: Path, among: Iterable[int] | None = None) -> list[int]:
        """The shards whose parts are not in a folder yet, of all or of some."""
        there = set(os.listdir(folder))
        return [
            shard
            for shard in (range(self.shards) if among is None else among)
            if self.part(shard) not in there
        ]

    def slice(self, number: int, slices: int) -> range:
        """The shards of one of several jobs, numbered from 1."""
        return range(number - 1, self.shards, slices)

    def save(self, folder: Path) -> None:
        """Write the plan into a folder, or find the same one there.

        Of several processes that do this at the same time, one writes the plan of all.

        Raises:
            ValueError: the folder has another plan, or a file that is none.
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        own, file = json.dumps(asdict(self), indent=1), folder / PLAN_FILE
        if not file.exists():
            _write_first(file, own)
        try:
            there = dict(json.loads(file.read_text()))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file} is no plan. Choose another folder") from error
        other = [name for name, value in json.loads(own).items() if there.get(name) != value]
        if other:
            raise ValueError(f"The folder has the parts of another plan, which differs in {', '.join(other)}")


def _write_first(file: Path, text: str) -> None:
    """Write a file, whole, unless somebody else does so first."""
    with tempfile.TemporaryDirectory(prefix=".plan-", dir=file.parent) as place:
        unfinished = Path(place) / file.name
        with open(unfinished, "w") as content:
            content.write(text + "\n")
            content.flush()
            os.fsync(content.fileno())
        with suppress(FileExistsError):
            os.link(unfinished, file)  # which, unlike renaming, replaces nothing


def digest_of_names(names: Sequence[str]) -> str:
    """A digest of a list of names of files, of any characters.

    Examples:
        >>> digest_of_names(["a", "b"]) == digest_of_names(["a\\nb"])
        False
    """
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(name) + b"\0")
    return digest.hexdigest()
