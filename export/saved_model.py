"""Export to SavedModel: for TensorFlow Serving, and for TensorFlow in any language.

Uses TensorFlow directly to write the format.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from keras_cam.export.serving_files import write_serving_files
from keras_cam.export.signatures import Signatures, build_signatures
from keras_cam.export.warm_up import write_warm_up
from keras_cam.inference.localizer import MAPS_FILE


def save_saved_model(
    localizer: keras.Model,
    path: str | Path,
    labels: Sequence[str] | None = None,
    *,
    image_size: tuple[int, int] | None = None,
) -> Path:
    """Save a localizer as a version of a SavedModel, in the layout of TensorFlow Serving.

    It has the signatures of `keras_cam.export.Signatures`, for batches of any size: `localize` (also as
    `serving_default`), `localize_bytes`, `classify` and `cam`. The class names are in `assets/labels.txt`,
    one per line, how maps are made in `assets/maps.json`; warm-up requests are in `assets.extra`.

    The version is written atomically: under a temporary name in the same folder, then renamed.

    Args:
        localizer: a model from `keras_cam.build_localizer` with images as its only input.
        path: the folder of the version, such as `models/cam/1`, which must not exist.
        labels: the names of all classes; see `keras_cam.export.build_signatures`.
        image_size: (height, width) of the images, for a localizer that takes any size; see
            `keras_cam.export.build_signatures`.

    Returns:
        `path`.

    Raises:
        ValueError: `localizer` is not a localizer, or `path` does not end in a version number.
        FileExistsError: the version exists.
        OSError: the folder cannot be written.

    Examples:
        >>> import keras_cam
        >>> layers = [keras.layers.Conv2D(8, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     localizer = keras_cam.build_localizer(model)
        ...     version = save_saved_model(localizer, f"{folder}/cam/1", ["cat", "dog"])
        ...     localize = tf.saved_model.load(version).signatures["localize"]
        ...     localize(images=tf.zeros((4, 32, 32, 3)))["detection_boxes"].shape
        TensorShape([4, 2, 4])
    """
    path = Path(path)
    _check_version(path)
    signatures = build_signatures(localizer, labels, image_size=image_size)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that it can be renamed; not a number, so that servers do not load it.
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        _write(signatures, temporary)
        temporary.chmod(0o777 & ~_umask())
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def next_version(model_folder: str | Path) -> Path:
    """The folder for the next version of a model: the highest existing version number plus 1.

    Examples:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "9").mkdir()
        ...     next_version(folder).name
        '10'
    """
    folder = Path(model_folder)
    versions = [int(entry.name) for entry in folder.glob("*") if entry.name.isdecimal()]
    return folder / str(max(versions, default=0) + 1)


def save_next_version(
    localizer: keras.Model, path: str | Path, labels: Sequence[str] | None = None
) -> list[Path]:
    """Save a localizer as a new version of a served model, with configuration files for TensorFlow Serving.

    Args:
        localizer: a model from `keras_cam.build_localizer` with images as its only input.
        path: the folder of the model's versions, such as `models/cam`, or of the new version, such as
            `models/cam/7`.
        labels: the names of all classes; see `keras_cam.export.build_signatures`.

    Returns:
        The folder of the version and the configuration files, see `write_serving_files`.

    Raises:
        ValueError, FileExistsError, OSError: see `save_saved_model`.
    """
    path = Path(path)
    saved = save_saved_model(localizer, path if path.name.isdecimal() else next_version(path), labels)
    return [saved, *write_serving_files(saved.parent)]


def _check_version(path: Path) -> None:
    if not path.name.isdecimal() or int(path.name) < 1:
        raise ValueError(
            f"`path` must end in a version number, such as {path / '1'}. Received: path={str(path)!r}"
        )
    if path.exists():
        raise FileExistsError(
            f"`path` must be a new version; existing versions are never changed, and the next one is "
            f"{next_version(path.parent)}. Received: path={str(path)!r}"
        )


def _write(signatures: Signatures, folder: Path) -> None:
    functions = {name: function.get_concrete_function() for name, function in signatures.functions.items()}
    model = tf.Module()
    model.variables_of_localizer = [variable.value for variable in signatures.localizer.variables]
    with tempfile.TemporaryDirectory() as assets:
        labels = Path(assets) / "labels.txt"
        labels.write_text("".join(f"{label}\n" for label in signatures.labels), encoding="utf-8")
        maps = Path(assets) / MAPS_FILE
        maps.write_text(signatures.maps, encoding="utf-8")
        model.labels, model.maps = (tf.saved_model.Asset(str(path)) for path in (labels, maps))
        served = {"serving_default": functions["localize"], **functions}
        tf.saved_model.save(model, str(folder), signatures=served)
    write_warm_up(signatures, folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
