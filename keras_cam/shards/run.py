"""Run the shards of a plan: each becomes its part, whoever runs it and however often."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keras_cam.images.whole_file import whole_file
from keras_cam.inference.records import FailedImage, Localization
from keras_cam.shards.part_formats import counts_of_part, rows_of, write_part
from keras_cam.shards.plan import Plan

SUCCESS_FILE = "_SUCCESS.json"

RETRIES = 10
"""How often an engine runs a shard again whose worker died. Its own errors are not repeated."""

# How often parts that turn out to be broken are made again.
_ROUNDS = 3


@dataclass(frozen=True)
class Shard:
    """The photos of a part. It can be sent to another process or machine.

    Attributes:
        path: the file of the part.
        part_format: a key of `keras_cam.shards.part_formats.PART_FORMATS`.
        images: the names of the photos.
        maps: whether rows have the maps, too.
    """

    path: Path
    part_format: str
    images: tuple[str, ...]
    maps: bool = False


Localize = Callable[[Sequence[str]], Iterable[Localization | FailedImage]]
"""From names of photos to a result for each, in order. Engines send it to other processes."""

Engine = Callable[[Localize, Iterable[Shard]], Iterator[Shard]]
"""Calls `make_part` for each shard, somewhere; yields each when its part is there."""


def make_part(localize: Localize, shard: Shard) -> None:
    """Localize the photos of a shard and write its part, unless it is there.

    Raises:
        OSError: the part cannot be written.
    """
    if shard.path.exists():
        return
    rows = [row for result in localize(shard.images) for row in rows_of(result, shard.maps)]
    try:
        write_part(shard.path, shard.part_format, rows, shard.maps)
    except FileNotFoundError:
        # Or else somebody else has made it, finished, and removed what is unfinished.
        if not shard.path.exists():
            raise


def run_plan(
    plan: Plan,
    folder: Path,
    images: Sequence[str],
    localize: Localize,
    engine: Engine,
    *,
    among: Iterable[int] | None = None,
    maps: bool = False,
    on_images: Callable[[int], object] = lambda count: None,
) -> dict[str, int] | None:
    """Make the parts that are missing, and finish if all are there.

    Args:
        plan: the plan.
        folder: the folder of the parts; the plan is saved there.
        images: the names of all photos.
        localize: what localizes them.
        engine: where the shards run, see `keras_cam.shards.engines.ENGINES`.
        among: the shards of this job; None: all.
        maps: whether rows have the maps, too.
        on_images: called with the number of photos whose part is there.

    Returns:
        What is in the file `_SUCCESS.json`; None if other jobs still have to make parts.

    Raises:
        ValueError: the folder has another plan.
        OSError: a part cannot be written or read. What is there is kept, and the same call goes on.
    """
    plan.save(folder)
    mine = list(range(plan.shards) if among is None else among)
    for _ in range(_ROUNDS):
        missing = plan.missing(folder, mine)
        on_images(plan.size(mine) - plan.size(missing))
        random.shuffle(missing)  # so that two drivers do not make the same parts one after the other
        shards = (_shard(plan, folder, images, number, maps) for number in missing)
        for shard in engine(localize, shards):
            on_images(len(shard.images))
        if plan.missing(folder):
            return None
        counts = finish(plan, folder)
        if counts is not None:
            return counts
    raise OSError(f"Parts in {folder} were broken {_ROUNDS} times in succession")


def finish(plan: Plan, folder: Path) -> dict[str, int] | None:
    """Check all parts and write `_SUCCESS.json`; or remove the broken parts, and return None."""
    file, total = folder / SUCCESS_FILE, Counter[str](parts=plan.shards)
    if file.exists():
        return json.loads(file.read_text())
    is_whole = True
    for shard in range(plan.shards):
        part = folder / plan.part(shard)
        counts = _counts(part, plan.part_format)
        if counts.get("images") != len(plan.range_of(shard)):
            part.unlink(missing_ok=True)
            is_whole = False
        total.update(counts)
    if not is_whole:
        return None
    with whole_file(file) as unfinished:
        unfinished.write_text(json.dumps(total) + "\n")
    for left in folder.glob(".part-*.tmp.*"):  # by processes that were killed
        left.unlink(missing_ok=True)
    return dict(total)


def _counts(part: Path, part_format: str) -> dict[str, int]:
    with suppress(ValueError, OSError):
        return counts_of_part(part, part_format)
    return {}


def _shard(plan: Plan, folder: Path, images: Sequence[str], number: int, maps: bool) -> Shard:
    names = tuple(images[index] for index in plan.range_of(number))
    return Shard(folder.absolute() / plan.part(number), plan.part_format, names, maps)
