"""Keeping the C libraries off stderr: TensorFlow's banners, and others."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


def import_quietly(start_devices: bool = True) -> None:
    """Imports TensorFlow and Keras and starts the devices, without a word unless it fails.

    TensorFlow's own switches come too late for the lines that its C++ parts write while they are loaded, so
    what goes to file descriptor 2 is held back for that time. For a command line, not for a library: it
    changes environment variables of the process; those that are set already stay.

    Args:
        start_devices: whether the devices are started; several workers have to find each other before.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_minloglevel", "2")
    with stderr_held_back():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if start_devices:
            tf.config.list_logical_devices()  # the CUDA driver reports here


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Keeps what is written to file descriptor 2, and shows it only if the body fails."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


@contextmanager
def only_python_writes_to_stderr() -> Iterator[None]:
    """Drops what is written to file descriptor 2, for which Python gets another one."""
    sys.stderr.flush()
    with open(os.devnull, "w") as nowhere, open(os.dup(2), "w", errors="backslashreplace") as terminal:
        replaced = sys.stderr is sys.__stderr__  # else it goes elsewhere already
        with redirect_stderr(terminal if replaced else sys.stderr):
            os.dup2(nowhere.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(terminal.fileno(), 2)
