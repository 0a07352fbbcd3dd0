"""A number of bytes that threads share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """Lets threads work at the same time only as long as what they need together stays below a limit.

    Args:
        limit: the number of bytes.

    Examples:
        >>> budget = MemoryBudget(100)
        >>> with budget.taken(60):
        ...     budget.used  # another thread that needs more than 40 waits
        60
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Wait until so many bytes are free, and take them for the `with` block.

        Raises:
            ValueError: `count` is more than the limit.
        """
        if count > self.limit:
            raise ValueError(f"needs {count:,} bytes of memory, more than {self.limit:,}")
        with self._changed:
            self._changed.wait_for(lambda: self.used + count <= self.limit)
            self.used += count
        try:
            yield
        finally:
            with self._changed:
                self.used -= count
                self._changed.notify_all()
