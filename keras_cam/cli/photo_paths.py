"""The photos that a command line names: files, folders, lists of names, archives and URLs."""

from collections.abc import Sequence
from pathlib import Path

from keras_cam.cli.usage import UsageError
from keras_cam.images.files import find_images, find_photos
from keras_cam.images.photo_list import read_photo_list
from keras_cam.images.sources import source_of


def photos_at(path: str | Path, output: Path | None = None) -> Sequence[str | Path]:
    """Find the image files of a path or source, or read the names in a list, `@FILE`.

    Args:
        path: what `keras_cam.cli.options.add_photos` gives; a source is a string.
        output: a folder whose pictures are left out if it is below `path`: `keras-cam localize .` must skip
            those that its last run wrote.

    Raises:
        UsageError: the list cannot be read, or the package that reads the source is not installed.
    """
    if isinstance(path, str):
        return _in_source(path)
    if str(path).startswith("@") and not path.exists():
        try:
            return [photo for name in read_photo_list(str(path)[1:]) for photo in _listed(name)]
        except OSError as error:
            raise UsageError(f"{path} must be a list of photos. Received: {error.strerror}") from error
    files = find_images([path])
    if output and path.resolve() in output.resolve().parents:
        return [file for file in files if output.resolve() not in file.resolve().parents] or [path]
    return files


def photo_names(paths: Sequence[str | Path]) -> list[str]:
    """The names of all photos, each once."""
    return list(dict.fromkeys(str(file) for path in paths for file in photos_at(path)))


def _listed(name: str) -> Sequence[str | Path]:
    return _in_source(name) if source_of(name) else [Path(name)]


def _in_source(name: str) -> Sequence[str]:
    try:
        return find_photos(name)
    except ImportError as error:
        raise UsageError(str(error)) from error
