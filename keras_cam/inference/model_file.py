"""The error of a file whose model cannot be run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_cam.images.sources import reason_of


class ModelFileError(ValueError):
    """The model in a file can be loaded, but not run; the message is one line with file and reason."""


@contextmanager
def running(path: str | Path) -> Iterator[None]:
    """Turn what a runtime raises into a `ModelFileError`.

    Examples:
        >>> with running("cam.onnx"):
        ...     raise RuntimeError("Node 7 failed")
        Traceback (most recent call last):
        ...
        keras_cam.inference.model_file.ModelFileError: The model in cam.onnx cannot be run: Node 7 failed
    """
    try:
        yield
    except Exception as error:  # runtimes raise classes of their own, without a common ancestor
        raise ModelFileError(f"The model in {path} cannot be run: {reason_of(error)}") from error
