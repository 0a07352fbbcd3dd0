"""Start shards somewhere, few at once."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from keras_cam.shards.run import Shard


def few_at_once(
    shards: Iterable[Shard],
    start: Callable[[Shard], Any],
    wait: Callable[[Collection[Any]], Any],
    processors: Callable[[], int],
) -> Iterator[Shard]:
    """Start each shard, and yield those that are finished.

    Args:
        shards: what to start.
        start: starts a shard and returns a handle, which can be hashed.
        wait: waits for one of several handles, and returns it; or raises what went wrong with it.
        processors: how many shards run at once, now: a cluster may grow.
    """
    running: dict[Any, Shard] = {}
    for shard in shards:
        running[start(shard)] = shard
        # Few wait, so that memory is bounded, and some do, so that a cluster grows.
        while len(running) >= 2 * max(2, processors()):
            yield running.pop(wait(running))
    while running:
        yield running.pop(wait(running))
