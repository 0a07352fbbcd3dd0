"""From photos to records: what the command line does, as functions."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.images.batches import ImageBatch, read_batches
from keras_cam.images.files import ImageError, ReducedPhoto, find_photos, read_image, read_reduced
from keras_cam.images.map_ahead import map_ahead
from keras_cam.images.windows import open_windows
from keras_cam.inference.load import DEFAULT_MODEL
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.photo_crops import photo_crops
from keras_cam.inference.records import FailedImage, Localization, localizations
from keras_cam.inference.runtimes import AUTO, load_fastest
from keras_cam.inference.tiles import TiledLocalizer
from keras_cam.models.labels import class_names
from keras_cam.models.registry import MODELS
from keras_cam.recipes import DEFAULT_OVERLAP

if TYPE_CHECKING:
    import keras

Photo = str | Path | np.ndarray
"""A file, or the pixels: uint8 (H, W, 3), RGB; or what the model takes, if it does not take RGB."""


def localize(
    photos: Photo | Sequence[Photo],
    model: "str | Path | keras.Model | Localizer" = DEFAULT_MODEL,
    *,
    labels: Sequence[str] | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    refine: str | None = None,
    batch_size: int = 8,
    tiles: int | None = None,
    overlap: float = DEFAULT_OVERLAP,
    runtime: str = AUTO,
) -> list[Localization]:
    """Say what is in photos, and where.

    Args:
        photos: a file, a folder, which stands for the images below it, or an array uint8 (H, W, 3) or
            (B, H, W, 3), RGB; or several files, folders and arrays (H, W, 3). For a model of other than 3
            channels: arrays (H, W, C) of any numbers, for one channel also (H, W), whose values go into the
            model as they are.
        model: what `keras_cam.load_localizer` takes. The model of a name is kept in memory for the next call.
        labels: the names of all classes; None takes those that the model carries, or else the usual ones.
        top_k: how many classes are localized, 5 by default; see `keras_cam.load_localizer`.
        threshold: boxes enclose the cells above this fraction of the map's maximum, see there.
        refine: the maps from which boxes are made, see there.
        batch_size: how many photos go through the model at once.
        tiles: the height and width in pixels of tiles of large pictures, see `localize_files`.
        overlap: the fraction of a tile that it shares with the next one.
        runtime: what computes, see `keras_cam.inference.runtimes.load_fastest`; "auto" converts no model, but
            uses one that was converted.

    Returns:
        A record for each photo that can be read, in order. It draws itself: `show()`, `save(path)`, and by
        itself as the value of a notebook cell. An array is named by its number, such as "image 0".

    Raises:
        ValueError: none of the photos can be read, or an argument does not fit; see also
            `keras_cam.load_localizer`. If only some photos cannot be read, a warning names each.

    Examples:
        >>> import keras_cam
        >>> from skimage import data_dir
        >>> [coffee] = keras_cam.localize(f"{data_dir}/coffee.png")
        >>> [detection.label for detection in coffee.detections[:2]]
        ['espresso', 'cup']
    """
    load: Any = _load_once if isinstance(model, str) and model in MODELS else _load
    localizer: Localizer = load(model, runtime, top_k, threshold, refine)
    name = str(model) if isinstance(model, str | Path) else ""
    named = _photos(photos, localizer.channels)
    results = list(_way(tiles, overlap)(localizer, named, labels, name, batch_size))
    records = [result for result in results if isinstance(result, Localization)]
    failures = [result for result in results if isinstance(result, FailedImage)]
    if failures and not records:
        raise ValueError(failures[0].error)
    for failure in failures:
        warnings.warn(failure.error, stacklevel=2)
    return records


def localize_files(
    localizer: "Localizer | keras.Model | str | Path",
    paths: str | Path | Iterable[str | Path],
    labels: Sequence[str] | None = None,
    model_name: str = "",
    batch_size: int = 8,
    value_range: tuple[float, float] | None = None,
    *,
    tiles: int | None = None,
    overlap: float = DEFAULT_OVERLAP,
    runtime: str = AUTO,
) -> Iterator[Localization | FailedImage]:
    """Localize what is in image files, one batch at a time, so that any number of files fits into memory.

    Photos are resized as a whole to the size that the localizer takes; boxes are in pixels of the photos as
    `keras_cam.images.files.read_image` gives them: as 8-bit RGB; or, for a model of other than 3
    channels, with their own values. A file that cannot be read does not end the batch.

    Args:
        localizer: what `keras_cam.load_localizer` takes.
        paths: a file, a folder, which stands for the images below it, a source such as a tar file, see
            `keras_cam.images.sources`, or several of them.
        labels: the names of all classes; None takes those that the localizer carries, or else ImageNet's for
            1000 classes, or else numbers.
        model_name: the name of the model, for the records.
        batch_size: how many photos go through the model at once.
        value_range: black and white of grey photos of more than 8 bits, see
            `keras_cam.images.files.read_image`.
        tiles: the height and width in pixels of tiles, for large pictures: tiles go through the model, and
            their maps are put together, see `keras_cam.inference.TiledLocalizer`; a class then has a
            detection for each object. None: photos are resized as a whole.
        overlap: the fraction of a tile that it shares with the next one, at least.
        runtime: what computes; by default what does so many files fastest, see
            `keras_cam.inference.runtimes.load_fastest`.

    Returns:
        An iterator that gives for each file, in order, its record or what is wrong with it.

    Raises:
        ValueError: `localizer` has other inputs or outputs, `batch_size` is not positive, `labels` does not
            name every class, or `tiles` or `overlap` is not as described above.

    Examples:
        >>> import keras_cam
        >>> from skimage import data_dir
        >>> localizer = keras_cam.load_localizer("efficientnet_lite0", top_k=2)
        >>> [coffee] = localize_files(localizer, f"{data_dir}/coffee.png")
        >>> [detection.label for detection in coffee.detections]
        ['espresso', 'cup']
    """
    photos = [(name, name) for name in find_photos(paths)]
    opened = load_fastest(localizer, runtime, len(photos))
    return _way(tiles, overlap)(opened, photos, labels, model_name, batch_size, value_range)


def _way(tiles: int | None, overlap: float) -> Callable[..., Iterator[Localization | FailedImage]]:
    """What localizes photos: whole ones, or tiles of them."""
    return localize_each if tiles is None else partial(_localize_tiles, tiles=tiles, overlap=overlap)


def _load(
    model: Any, runtime: str, top_k: int | None, threshold: float | None, refine: str | None
) -> Localizer:
    return load_fastest(model, runtime, top_k=top_k, threshold=threshold, refine=refine)


_load_once = lru_cache(maxsize=1)(_load)


def _photos(photos: Photo | Sequence[Photo], channels: int) -> list[tuple[str, Photo]]:
    """Each photo with its name."""
    if isinstance(photos, str | Path):
        return [(name, name) for name in find_photos(photos)]
    if isinstance(photos, np.ndarray):
        photos = [photos] if photos.ndim < 4 else list(photos)
    named: list[tuple[str, Photo]] = []
    for photo in photos:
        if isinstance(photo, np.ndarray):
            named.append((f"image {len(named)}", _checked(photo, channels)))
        else:
            named += [(name, name) for name in find_photos(photo)]
    return named


def _checked(photo: np.ndarray, channels: int) -> np.ndarray:
    is_rgb = channels == 3
    if channels == 1 and photo.ndim == 2:
        photo = photo[..., None]
    numeric = photo.dtype == np.uint8 or (not is_rgb and photo.dtype.kind in "uif")
    if photo.ndim != 3 or photo.shape[-1] != channels or not numeric:
        what = "RGB pixels, uint8" if is_rgb else "numbers"
        raise ValueError(
            f"Arrays must be {what} (H, W, {channels}) or, several at once, (B, H, W, {channels}). "
            f"Received: {photo.dtype} {photo.shape}"
        )
    return photo


def localize_each(
    localizer: Localizer,
    photos: Sequence[tuple[str, Photo]],
    labels: Sequence[str] | None = None,
    model_name: str = "",
    batch_size: int = 8,
    value_range: tuple[float, float] | None = None,
) -> Iterator[Localization | FailedImage]:
    """As `localize_files`, with an open localizer, for photos with their names: a result for each."""
    names = class_names(localizer.classes, labels, localizer.labels)

    def read(index: int) -> np.ndarray | ReducedPhoto:
        _, photo = photos[index]
        if isinstance(photo, np.ndarray):
            return photo
        return read_reduced(photo, localizer.size_hw, localizer.channels, value_range)

    def whole(photo: Photo) -> np.ndarray:
        return photo if isinstance(photo, np.ndarray) else read_image(photo, localizer.channels, value_range)

    def find(batch: ImageBatch) -> list[Localization | FailedImage]:
        named = [photos[index] for index in batch.index]
        good = [photo for photo, is_good in zip(named, batch.readable, strict=True) if is_good]
        found: Iterator[Localization] = iter(())
        if good:
            crop = photo_crops([partial(whole, photo) for _, photo in good], localizer.size_hw)
            outputs = localizer.localize_photos(batch.images[batch.readable], crop)
            images, sizes_wh = [name for name, _ in good], batch.sizes_wh[batch.readable]
            found = iter(localizations(outputs, images, sizes_wh, names, model_name, localizer.threshold))
        return [
            FailedImage(name, error) if error is not None else _complete(next(found), localizer, photo)
            for (name, photo), error in zip(named, batch.errors, strict=True)
        ]

    batches = read_batches(read, len(photos), localizer.size_hw, batch_size, localizer.channels)
    return chain.from_iterable(map_ahead(find, batches))


def _complete(record: Localization, localizer: Localizer, photo: Photo) -> Localization:
    """The record with what made it, and with the pixels of a photo that was given as an array."""
    return replace(
        record,
        pixels=photo if isinstance(photo, np.ndarray) else None,
        runtime=localizer.runtime,
        map_kind=localizer.map_kind,
        map_method=localizer.map_method,
    )


def _localize_tiles(
    localizer: Localizer,
    photos: Sequence[tuple[str, Photo]],
    labels: Sequence[str] | None,
    model_name: str,
    batch_size: int,
    value_range: tuple[float, float] | None = None,
    *,
    tiles: int,
    overlap: float,
) -> Iterator[Localization | FailedImage]:
    names = class_names(localizer.classes, labels, localizer.labels)
    tiled = TiledLocalizer(localizer, tiles, overlap, batch_size)

    def result(name: str, photo: Photo) -> Localization | FailedImage:
        try:
            with open_windows(photo, localizer.channels, value_range) as image:
                record = tiled.localize(image, name, names, model_name)
        except ImageError as error:
            return FailedImage(name, str(error))
        return _complete(record, localizer, photo)

    return starmap(result, photos)
