"""A localizer as a web page that runs it in the visitor's browser."""

import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_cam.export.litert import save_litert
from keras_cam.export.litert_metadata import ModelCard
from keras_cam.graph import names
from keras_cam.inference.litert import LiteRTLocalizer

_REGISTRY = "https://registry.npmjs.org"

# LiteRT.js: the packages, their SHA-256, and which of their files the page needs under which name.
_PACKAGES = (
    (
        "@litertjs/core/-/core-2.5.3.tgz",
        "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd",
        {
            "package/dist/index.js": "core.js",
            "package/wasm/litert_wasm_internal.js": "litert_wasm_internal.js",
            "package/wasm/litert_wasm_internal.wasm": "litert_wasm_internal.wasm",
            "package/wasm/litert_wasm_compat_internal.js": "litert_wasm_compat_internal.js",
            "package/wasm/litert_wasm_compat_internal.wasm": "litert_wasm_compat_internal.wasm",
        },
    ),
    (
        "@litertjs/wasm-utils/-/wasm-utils-2.5.3.tgz",
        "ce2a1f8379c067be49e59752e5a7f40db6be09f6e497f0f11e59f17b515366a7",
        {"package/dist/index.js": "wasm-utils.js"},
    ),
)


def save_web(
    localizer: keras.Model,
    path: str | Path,
    labels: Sequence[str] | None = None,
    *,
    quantization: str | None = None,
    representative_data: Any = None,
    image_size: tuple[int, int] | None = None,
    card: ModelCard | None = None,
) -> Path:
    """Save a localizer as a folder that any static web server serves.

    The page takes a photo or the camera and shows the classes, their maps and boxes. All of it runs on the
    visitor's machine. The folder is complete: a page that is served needs nothing from anywhere else. What
    runs the model, LiteRT.js, is downloaded from the npm registry the first time, checked, and kept in
    Keras' cache.

    Args:
        localizer: a model as `keras_cam.build_localizer` makes it, with images as its only input.
        path: the folder, which must not exist yet or be empty. It appears whole or not at all.
        labels, quantization, representative_data, image_size, card: see `save_litert`. "float16" halves
            what a visitor downloads and changes next to nothing.

    Returns:
        `path`.

    Raises:
        FileExistsError: there is something in the folder.
        OSError: LiteRT.js cannot be downloaded, or the folder cannot be written.
        ValueError, ModuleNotFoundError: see `save_litert`.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"`path` must be a new or an empty folder. Received: path={str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        site = Path(folder) / "site"
        shutil.copytree(str(files("keras_cam.export") / "web_page"), site)
        _add_runtime(site / "litert")  # first, because it may fail and the model takes its time
        model = save_litert(
            localizer,
            site / "model.tflite",
            labels,
            quantization=quantization,
            representative_data=representative_data,
            image_size=image_size,
            card=card,
        )
        _write_settings(localizer, model)
        if path.exists():
            path.rmdir()
        os.rename(site, path)
    return path


def _write_settings(localizer: keras.Model, model: Path) -> None:
    lite = LiteRTLocalizer(model)
    settings = {
        "model": model.name,
        "size_hw": lite.size_hw,
        "threshold": float(np.median(localizer.get_layer(names.DETECTIONS).threshold)),
        "labels": lite.labels,
    }
    (model.parent / "settings.json").write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")


def _add_runtime(folder: Path) -> None:
    folder.mkdir()
    for package, sha256, wanted in _PACKAGES:
        url = f"{_REGISTRY}/{package}"
        try:
            archive = keras.utils.get_file(
                origin=url, file_hash=sha256, hash_algorithm="sha256", cache_subdir="keras_cam"
            )
        except Exception as error:  # Keras raises a plain one
            raise OSError(
                f"LiteRT.js must be downloaded once from {url}; later it is taken from Keras' cache. "
                f"Received: {error}"
            ) from error
        with tarfile.open(archive) as tar:
            for name, target in wanted.items():
                content = tar.extractfile(name)
                if content is None:
                    raise OSError(f"{url} must contain {name}. Received: an archive without it")
                (folder / target).write_bytes(content.read())
