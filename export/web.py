"""Export to a web page that runs the localizer in the browser."""

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
from keras_cam.export.signatures import check_rgb
from keras_cam.graph import names
from keras_cam.inference.litert import LiteRTLocalizer
from keras_cam.localizer import check_localizer

_REGISTRY = "https://registry.npmjs.org"

# LiteRT.js: the packages, their SHA-256, and the files that the page needs, with their new names.
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
    """Save a localizer as a web page, a folder for any static web server.

    The page shows the classes, maps and boxes of a photo or of the camera image. The model runs in the
    visitor's browser, which loads all files from this folder. The runtime, LiteRT.js, is downloaded from the
    npm registry on first use, verified by its digest, and kept in Keras' cache.

    Args:
        localizer: a model from `keras_cam.build_localizer` with images as its only input.
        path: the folder, which must be new or empty. It is written atomically.
        labels, quantization, representative_data, image_size, card: see `save_litert`. "float16" halves
            the download with almost unchanged results.

    Returns:
        `path`.

    Raises:
        FileExistsError: the folder is not empty.
        OSError: LiteRT.js cannot be downloaded, or the folder cannot be written.
        ValueError, ModuleNotFoundError: see `save_litert`.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"`path` must be a new or an empty folder. Received: path={str(path)!r}")
    check_localizer(localizer)
    check_rgb(localizer, "a web page, which shows photos")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        site = Path(folder) / "site"
        shutil.copytree(str(files("keras_cam.export") / "web_page"), site)
        _add_runtime(site / "litert")  # first, because it may fail, and writing the model takes long
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
        "map_kind": lite.map_kind,
        "map_method": lite.map_method,
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
        except Exception as error:  # Keras raises a plain `Exception`
            raise OSError(
                f"LiteRT.js must be downloaded once from {url}; later it is read from Keras' cache. "
                f"Received: {error}"
            ) from error
        with tarfile.open(archive) as tar:
            for name, target in wanted.items():
                content = tar.extractfile(name)
                if content is None:
                    raise OSError(f"{url} must contain {name}. Received: an archive without it")
                (folder / target).write_bytes(content.read())
