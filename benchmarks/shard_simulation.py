"""Shards on workers that die, straggle and repeat each other's work: is each photo in the parts exactly once?

    python benchmarks/shard_simulation.py [--shards 10000] [--workers 500] [--folder /dev/shm]

Plans, parts, resuming and checks are the real ones; only time and what localizes are simulated. A worker dies
in the middle of a shard with a probability of 2 %, leaving half a file, and comes back after two minutes; one
shard in a hundred takes twenty times as long; idle workers repeat what others are at; parts are damaged;
and the driver dies twice.
"""

import argparse
import heapq
import itertools
import json
import random
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keras_cam.inference import FailedImage
from keras_cam.shards.part_formats import PART_FORMATS
from keras_cam.shards.plan import Plan, digest_of_names
from keras_cam.shards.run import SUCCESS_FILE, Localize, Shard, make_part, run_plan

DEATHS, STRAGGLERS, SLOWER, RETURN, DAMAGED = 0.02, 0.01, 20.0, 120.0, 0.001
FORMAT = "jsonl"


class DriverDeathError(Exception):
    """The simulated driver is dead."""


@dataclass
class Cluster:
    """Simulated workers, as an engine.

    Attributes:
        workers: how many there are.
        seconds: how long a shard takes.
        rng: decides about fates.
        driver_deaths: after how many shards the driver dies, each time.
        counts: what happened.
        clock: the simulated seconds.
    """

    workers: int
    seconds: float
    rng: random.Random
    driver_deaths: deque[int]
    counts: Counter = field(default_factory=Counter)
    clock: float = 0.0

    def __call__(self, localize: Localize, shards: Iterable[Shard]) -> Iterator[Shard]:
        """Run the shards; see `keras_cam.shards.run.Engine`."""
        self.counts["drivers"] += 1
        waiting, numbers, done = deque(shards), itertools.count(), 0
        events: list[tuple[float, int, Shard | None]] = [
            (self.clock, next(numbers), None) for _ in range(self.workers)
        ]
        running: dict[Path, Shard] = {}
        while running or waiting:
            self.clock, _, shard = heapq.heappop(events)
            is_alive = shard is None or self._end(localize, shard, waiting)
            if shard is not None and is_alive and running.pop(shard.path, None):
                done += 1
                yield shard
                self._kill_driver(done)
            following = self._next(waiting, running)
            if following is not None:
                running[following.path] = following
                start = self.clock + (0.0 if is_alive else RETURN)
                heapq.heappush(events, (start + self._duration(), next(numbers), following))

    def _next(self, waiting: deque[Shard], running: dict[Path, Shard]) -> Shard | None:
        """A shard that waits, or else one that another worker is at."""
        if waiting:
            return waiting.popleft()
        if not running:
            return None
        self.counts["duplicates"] += 1
        return next(iter(running.values()))

    def _duration(self) -> float:
        is_slow = self.rng.random() < STRAGGLERS
        self.counts["stragglers"] += is_slow
        return self.seconds * self.rng.uniform(0.8, 1.2) * (SLOWER if is_slow else 1)

    def _end(self, localize: Localize, shard: Shard, waiting: deque[Shard]) -> bool:
        """Whether a worker makes the part; else it dies, and the shard waits again."""
        if self.rng.random() < DEATHS:
            self.counts["deaths"] += 1
            unfinished = f".{shard.path.stem}.{self.counts['deaths']}.tmp{shard.path.suffix}"
            shard.path.with_name(unfinished).write_text('{"image": "ha')
            waiting.append(shard)
            return False
        make_part(localize, shard)
        if self.rng.random() < DAMAGED:
            self.counts["damaged"] += 1
            shard.path.write_bytes(shard.path.read_bytes()[:-20])
        return True

    def _kill_driver(self, done: int) -> None:
        if self.driver_deaths and done >= self.driver_deaths[0]:
            self.driver_deaths.popleft()
            raise DriverDeathError


def photos_failed(images: Sequence[str]) -> list[FailedImage]:
    return [FailedImage(name, "simulated") for name in images]


def simulate(folder: Path, shards: int, workers: int, photos: int = 5, seed: int = 0) -> Counter:
    """Run a plan until it is finished, and check its parts.

    Returns:
        What happened; `hours` simulated with a shard a minute.

    Raises:
        AssertionError: a photo is lost or repeated.
    """
    names = [f"{number}.jpg" for number in range(shards * photos)]
    plan = Plan(len(names), digest_of_names(names), photos, part_format=FORMAT)
    cluster = Cluster(workers, 60.0, random.Random(seed), deque([shards // 3, shards // 3]))
    finished = None
    while finished is None:
        try:
            finished = run_plan(plan, folder, names, photos_failed, cluster)
        except DriverDeathError:
            cluster.counts["driver deaths"] += 1
    images = [
        row["image"]
        for shard in range(plan.shards)
        for row in PART_FORMATS[FORMAT].read(folder / plan.part(shard), ("image",))
    ]
    assert images == names, "photos are lost, repeated or in another order"
    assert json.loads((folder / SUCCESS_FILE).read_text())["images"] == len(names)
    assert not list(folder.glob(".part-*"))
    return cluster.counts + Counter(photos=len(images), minutes=round(cluster.clock / 60))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the parts are for a while")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        counts = simulate(Path(folder), arguments.shards, arguments.workers, seed=arguments.seed)
    for name, count in counts.items():
        print(f"{name:<14} {count:>9,}")
    least = arguments.shards / arguments.workers
    print(
        f"Without any trouble it would take {least:.0f} simulated minutes. Each photo is there exactly once."
    )


if __name__ == "__main__":
    main()
