"""Where photos come from besides files of their own: the table of sources.

A photo in an archive is called `archive.tar::name.jpg`. Whoever has that name reads the photo, and little
more: so lists of names can be cut and sent to other processes. Importing this module imports no package that
reads sources.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import Any

from keras_cam.images.parquet_photos import ParquetPhotos
from keras_cam.images.stored_files import (
    is_photo,
    is_url,
    open_file,
    read_range,
    read_url,
    urls_below,
    version_of,
)
from keras_cam.images.tf_examples import features_of, image_in, is_tf_record, record_places

_INSIDE = "::"

# Of so many archives a process keeps in mind where their photos are.
_KEPT = 8


@dataclass(frozen=True)
class Source:
    """A kind of sources.

    Attributes:
        summary: what it is, for people.
        matches: whether a name is that of such a source.
        entries: the name of each photo in it, and where it is. Only names with the given suffixes.
        read: the bytes of a photo, from the source and where it is there.
        is_archive: whether photos are called `source::name`; else entries are whole names.
    """

    summary: str
    matches: Callable[[str], bool]
    entries: Callable[[str, Sequence[str]], Iterable[tuple[str, Any]]]
    read: Callable[[str, Any], bytes]
    is_archive: bool = True


def _in_tar(path: str, suffixes: Sequence[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    import tarfile

    with open_file(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            if member.isfile() and is_photo(member.name, suffixes):
                yield member.name, (member.offset_data, member.size)


def _read_part(path: str, place: tuple[int, int]) -> bytes:
    return read_range(path, *place)


def _in_tf_records(path: str, suffixes: Sequence[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    for number, place in enumerate(record_places(path)):
        yield str(number), place


def _read_record(path: str, place: tuple[int, int]) -> bytes:
    return image_in(features_of(read_range(path, *place)))


@lru_cache(maxsize=_KEPT)
def _parquet(path: str, version: object) -> ParquetPhotos:
    return ParquetPhotos(path)


def _in_parquet(path: str, suffixes: Sequence[str]) -> Iterator[tuple[str, int]]:
    for row, name in enumerate(_parquet(path, version_of(path)).names()):
        yield name, row


def _read_row(path: str, row: int) -> bytes:
    return _parquet(path, version_of(path)).read(row)


def _below(url: str, suffixes: Sequence[str]) -> Iterator[tuple[str, None]]:
    for name in urls_below(url, suffixes):
        yield name, None


def _read_url(url: str, place: None) -> bytes:
    return read_url(url)


def _ends_in(suffix: str, name: str) -> bool:
    return name.lower().endswith(suffix) and not Path(name).is_dir()


SOURCES = {
    "tar": Source("a tar file, such as WebDataset's", partial(_ends_in, ".tar"), _in_tar, _read_part),
    "tfrecord": Source("a TFRecord file of examples", is_tf_record, _in_tf_records, _read_record),
    "parquet": Source(
        "a Parquet file with a column of bytes", partial(_ends_in, ".parquet"), _in_parquet, _read_row
    ),
    "url": Source("a folder, bucket or photo that fsspec opens", is_url, _below, _read_url, is_archive=False),
}
"""The sources by name. The first one that matches counts, so that archives may be in buckets."""


def source_of(name: str) -> Source | None:
    """The kind of source that a name is, or that a photo of this name is in; None for files of their own.

    Examples:
        >>> source_of("photos.tar::cats/1.jpg").summary
        "a tar file, such as WebDataset's"
        >>> source_of("cats/1.jpg")
    """
    archive = name.partition(_INSIDE)[0]
    return next((source for source in SOURCES.values() if source.matches(archive)), None)


def own_name(name: str) -> str:
    """The name of a photo without that of its archive.

    Examples:
        >>> own_name("photos.tar::cats/1.jpg"), own_name("cats/1.jpg")
        ('cats/1.jpg', 'cats/1.jpg')
    """
    return name.rpartition(_INSIDE)[2] if source_of(name) else name


def photos_in(name: str, suffixes: Sequence[str]) -> list[str]:
    """The names of all photos in a source.

    What cannot be read, and what has no photos, is named itself, so that `read_photo` says what is wrong.
    Of names that occur several times, the second one gets the suffix `~2`, and so on.

    Raises:
        ImportError: the package that reads the source is not installed.
    """
    source = source_of(name)
    if source is None or _INSIDE in name or _is_one(source, name, suffixes):
        return [name]
    index = _index(source, name, tuple(suffixes), _version(name))
    photos = [f"{name}{_INSIDE}{member}" if source.is_archive else member for member in index.places]
    return [*photos, name] if index.error or not photos else photos


def read_photo(name: str, suffixes: Sequence[str]) -> bytes:
    """The bytes of a photo in a source, by its name.

    Raises:
        ImportError: the package that reads the source is not installed.
        Exception: the photo cannot be read; of a type that the packages choose.
    """
    source = source_of(name)
    if source is None:
        raise ValueError("not in a source")
    if _is_one(source, name, suffixes):
        return source.read(name, None)
    archive, _, member = name.partition(_INSIDE)
    index = _index(source, archive, tuple(suffixes), _version(archive))
    if member in index.places:
        return source.read(archive, index.places[member])
    raise ValueError(
        index.error or ("it is not in there" if member or index.places else "no photos are in it")
    )


def _is_one(source: Source, name: str, suffixes: Sequence[str]) -> bool:
    """Whether a name that matches a source is that of a photo, which is not asked for its entries."""
    return not source.is_archive and is_photo(name, suffixes)


@dataclass(frozen=True)
class _Index:
    """Where the photos of a source are, as far as it can be read, and what is wrong with it."""

    places: dict[str, Any]
    error: str = ""


@lru_cache(maxsize=_KEPT)
def _index(source: Source, path: str, suffixes: tuple[str, ...], version: object) -> _Index:
    places: dict[str, Any] = {}
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(2))
    try:
        for name, place in source.entries(path, suffixes):
            free = name
            while free in places:
                free = f"{name}~{next(numbers[name])}"
            places[free] = place
    except ImportError:
        raise
    except Exception as error:  # of many types, on invalid data
        return _Index(places, reason_of(error))
    return _Index(places)


def _version(path: str) -> object:
    try:
        return version_of(path)
    except OSError:
        return None


def reason_of(error: Exception) -> str:
    """What went wrong, in one line: what the system says, in lower case; else the message, or the type.

    Examples:
        >>> reason_of(FileNotFoundError(2, "No such file or directory")), reason_of(ValueError("two\\nlines"))
        ('no such file or directory', 'two lines')
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
