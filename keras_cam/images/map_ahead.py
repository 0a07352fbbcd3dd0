"""A function of many things, computed by threads a little ahead of where its results are needed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int = 1, ahead: int = 1
) -> Iterator[Result]:
    """Like `map`, with results computed by threads before somebody asks for them, in a bounded number.

    Args:
        function: what to compute; several threads call it.
        items: its arguments. They are taken in the thread that asks for results.
        threads: the number of threads.
        ahead: how many results are computed, or being computed, besides the one that is asked for.

    Yields:
        The results in the order of the items. An exception of the function is raised where its result would
        be.

    Examples:
        >>> list(map_ahead(abs, [-1, 2, -3], threads=2))
        [1, 2, 3]
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, "keras_cam_ahead")
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
