"""The stopwatch of the benchmarks: what is compared runs by turns, so that other work disturbs all alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def times_by_turns(
    calls: Mapping[str, Callable[[], object]],
    seconds: float,
    turns: int = 10,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """How long each call takes.

    Args:
        calls: what to run, by name. A call returns when its work is done, not when it is only queued.
        seconds: how long to go on, at the least.
        turns: how often each one runs, at the least.
        warm_up: how many turns before do not count.
        clock: `time.process_time` counts processor time instead.

    Returns:
        The seconds of each turn, by the same names.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    turn = -warm_up
    while turn < turns or time.perf_counter() < end:
        for name, call in calls.items():
            start = clock()
            call()
            if turn >= 0:
                times[name].append(clock() - start)
        turn += 1
    return times


def ratios(times: list[float], reference: list[float]) -> tuple[float, float]:
    """How many times as long as the reference, by the medians and by the shortest times.

    Other work on the machine disturbs the shortest times least.
    """
    return statistics.median(times) / statistics.median(reference), min(times) / min(reference)
