"""How many processors a process may use."""

import os


def usable_processors() -> int:
    """The number of threads that should read or compute at the same time.

    Returns:
        The number in the environment variable `OMP_NUM_THREADS`, which Ray and job schedulers set; or else
        the number of processors that the process may run on.

    Examples:
        >>> usable_processors() >= 1
        True
    """
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if stated.isdecimal() and int(stated):
        return int(stated)
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
