"""Hold back what C libraries write to stderr, such as TensorFlow's banners, unless the process fails.

Python's own `sys.stderr` is not affected.
"""

import faulthandler
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from functools import cache
from typing import TextIO

# Reads the pipe that file descriptor 2 becomes, in a process of its own that survives an abort of this one.
# What comes before the mark is dropped; what is left when the pipe closes is written to stderr.
_WATCHER = """
import os, sys
mark, held = sys.argv[1].encode(), b""
while chunk := os.read(0, 65536):
    held = (held + chunk).rpartition(mark)[2][-65536:]
sys.stderr.buffer.write(held)
"""


def import_quietly(start_devices: bool = True) -> None:
    """Import TensorFlow and Keras and start the devices, without output unless that fails.

    TensorFlow's own switches take effect too late for what its C++ libraries write while they are loaded, so
    stderr of C libraries is held back meanwhile. This is for command lines, not for a library: it sets
    environment variables of the process, unless they are set already.

    Args:
        start_devices: whether to start the devices. With several workers, these have to connect to each
            other first.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_minloglevel", "2")
    with quiet_c_libraries():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if start_devices:
            tf.config.list_logical_devices()  # the CUDA driver reports here


@contextmanager
def quiet_c_libraries() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and show it only if the block fails.

    If the block ends normally, the text is dropped. If it raises an exception (`SystemExit` included), or the
    process dies (by `abort()`, a failed CHECK, a segmentation fault or a kill), the last 64 kB are written to
    stderr. Python's `sys.stderr` and `faulthandler` write to stderr at once, as always.
    """
    mark = os.urandom(16).hex()
    sys.stderr.flush()
    with _python_keeps_stderr():
        stderr = os.dup(2)
        watcher = _start_watcher(mark)
        try:
            yield
            with suppress(OSError):  # somebody ended the watcher
                os.write(2, mark.encode())
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            # A child process that still writes to the pipe keeps the watcher alive: do not wait for that.
            with suppress(subprocess.TimeoutExpired):
                watcher.wait(timeout=5)


def _start_watcher(mark: str) -> subprocess.Popen:
    """Make file descriptor 2 a pipe to a new watcher, whose stderr is what file descriptor 2 was."""
    reading, writing = os.pipe()
    try:
        watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCHER, mark],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal must not end it
        )
        os.dup2(writing, 2)
    finally:
        os.close(reading)
        os.close(writing)
    return watcher


@contextmanager
def _python_keeps_stderr() -> Iterator[None]:
    """Let Python write to stderr, whatever becomes of file descriptor 2."""
    if sys.stderr is not sys.__stderr__:  # it was redirected already
        yield
        return
    reports_crashes = faulthandler.is_enabled()
    with redirect_stderr(_own_stderr()):
        if reports_crashes:
            faulthandler.enable(_own_stderr())
        try:
            yield
        finally:
            if reports_crashes:
                faulthandler.enable(sys.__stderr__)


@cache
def _own_stderr() -> TextIO:
    """Stderr under another file descriptor. It stays open, for loggers that were made meanwhile keep it."""
    return open(os.dup(2), "w", buffering=1, errors="backslashreplace")
