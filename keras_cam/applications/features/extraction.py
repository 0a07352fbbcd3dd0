"""Pooled features of images, in batches. An interrupted extraction is resumed.

Importing this module does not import Keras.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_cam.applications.features.feature_extractor import FeatureExtractor
from keras_cam.applications.features.feature_table import FeatureTable, check_suffix
from keras_cam.check_finite import check_finite
from keras_cam.data import AnnotatedImages
from keras_cam.images.whole_file import whole_file

if TYPE_CHECKING:
    import keras

# After an interruption, at most so many images are computed again.
_PART = 512


def extract_features(
    backbone: "keras.Model | FeatureExtractor",
    annotated: AnnotatedImages,
    path: str | Path | None = None,
    batch_size: int = 32,
    on_image: Callable[[], None] = lambda: None,
) -> FeatureTable:
    """Compute the globally average-pooled features of every image of a data set.

    Images are resized, without cropping, to the input size of the backbone (224 x 224 if it takes any size).
    An image that cannot be read has no row, but an error message in `failures`.

    Args:
        backbone: from images (B, H, W, 3), RGB in 0..255, to features (B, h, w, C), see `backbone_of`; or a
            `FeatureExtractor`, which runs on something else than TensorFlow.
        annotated: the images, see `keras_cam.data.read_annotations`.
        path: a file for the table, see `FeatureTable.save`. Until the extraction is complete, its parts are
            kept in the folder `path.parts`, from which a later call with the same backbone, runtime and
            images continues.
        batch_size: the number of images in a batch.
        on_image: called after each image.

    Returns:
        The table, in the order of the images.

    Raises:
        ValueError: if `batch_size` is less than 1, or `path` has another suffix.

    Reference:
        Zhou et al., CVPR 2016, section 4.

    Examples:
        >>> from skimage import data_dir
        >>> import keras_cam
        >>> from keras_cam.data import AnnotatedImage
        >>> from keras_cam.applications.features import backbone_of
        >>> model = keras_cam.build_model("efficientnet_lite0", input_shape=(64, 64, 3))
        >>> cat = AnnotatedImage("cat", f"{data_dir}/chelsea.png", 0, (0,))
        >>> extract_features(backbone_of(model), AnnotatedImages("cats", ("cat",), (cat,))).vectors.shape
        (1, 1280)
    """
    if path is not None:
        check_suffix(path)
    extractor = _extractor(backbone)
    starts = range(0, len(annotated), _PART)
    parts = list(_each_part(extractor, annotated, path, batch_size, on_image, starts))
    table = _table(parts, annotated, extractor.channels)
    if path is not None:
        table.save(path)
        shutil.rmtree(_folder(path), ignore_errors=True)
    return table


def extract_slice(
    backbone: "keras.Model | FeatureExtractor",
    annotated: AnnotatedImages,
    path: str | Path,
    number: int,
    slices: int,
    batch_size: int = 32,
    on_image: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """Extract each Nth part of what `extract_features` extracts, as one of several jobs.

    When all jobs are done, `extract_features` with the same arguments puts their parts together.

    Args:
        backbone: see `extract_features`.
        annotated: all images.
        path: the file for the table. Parts of 512 images are in the folder `path.parts`.
        number: which job this is, from 1.
        slices: how many jobs there are.
        batch_size: the number of images in a batch.
        on_image: called after each image of this job.

    Returns:
        An error message for each image of this job that could not be read.

    Raises:
        ValueError: if `batch_size` is less than 1, or `path` has another suffix.
    """
    check_suffix(path)
    starts = range(0, len(annotated), _PART)[number - 1 :: slices]
    parts = _each_part(_extractor(backbone), annotated, path, batch_size, on_image, starts)
    return tuple(failure for part in parts for failure in part.failures)


def _extractor(backbone: "keras.Model | FeatureExtractor") -> FeatureExtractor:
    return backbone if isinstance(backbone, FeatureExtractor) else FeatureExtractor.of(backbone)


def _folder(path: str | Path) -> Path:
    return Path(f"{path}.parts")


def _each_part(
    extractor: FeatureExtractor,
    annotated: AnnotatedImages,
    path: str | Path | None,
    batch_size: int,
    on_image: Callable[[], None],
    starts: range,
) -> Iterator["_Part"]:
    """The parts that start at some images, from their files or extracted now."""
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size!r}")
    key = ""
    if path is not None:
        key = _fingerprint(extractor, annotated)
        _folder(path).mkdir(exist_ok=True, parents=True)
    for start in starts:
        images = annotated[start : start + _PART]
        file = None if path is None else _folder(path) / f"{start:09}.npz"
        part = _Part.load(file, key) if file else None
        if part is None:
            part = _extract(extractor, images, batch_size, on_image)
            if file:
                part.save(file, key)
        else:
            for _ in images:
                on_image()
        yield part


@dataclass(frozen=True)
class _Part:
    """The results of up to `_PART` images."""

    readable: np.ndarray  # bool, for each image
    vectors: np.ndarray  # float32, for each readable image
    failures: tuple[str, ...]  # for each unreadable image

    def save(self, file: Path, key: str) -> None:
        failures = np.array(self.failures, np.str_)
        with whole_file(file) as unfinished:
            np.savez(unfinished, readable=self.readable, vectors=self.vectors, failures=failures, key=key)

    @classmethod
    def load(cls, file: Path, key: str) -> "_Part | None":
        """The part in a file; None if it is missing, damaged, or of other images, backbone or runtime."""
        # Of a damaged archive, zipfile and NumPy may raise any exception.
        with suppress(Exception), open(file, "rb") as opened, np.load(opened) as part:
            if part["key"] == key:
                return cls(part["readable"], part["vectors"], tuple(part["failures"].tolist()))
        return None


def _extract(
    extractor: FeatureExtractor,
    images: AnnotatedImages,
    batch_size: int,
    on_image: Callable[[], None],
) -> _Part:
    failures: list[str] = []
    readable, vectors = [], []
    for batch in images.batches(extractor.size_hw, batch_size):
        good = batch.readable
        if good.any():
            features = extractor.pool(batch.images[good])
            check_finite({"features": features})
            vectors.append(features)
        failures += filter(None, batch.errors)
        readable.append(good)
        for _ in good:
            on_image()
    return _Part(np.concatenate(readable), np.concatenate(vectors or [np.zeros((0, 0))]), tuple(failures))


def _table(parts: list[_Part], annotated: AnnotatedImages, channels: int) -> FeatureTable:
    vectors = [np.zeros((0, channels), np.float32), *(part.vectors for part in parts if part.readable.any())]
    readable = np.concatenate([np.zeros(0, bool), *(part.readable for part in parts)])
    names = tuple(image.name for image, good in zip(annotated, readable, strict=True) if good)
    failures = tuple(failure for part in parts for failure in part.failures)
    return FeatureTable(
        names, np.concatenate(vectors), annotated.labels[readable], annotated.class_names, failures
    )


def _fingerprint(extractor: FeatureExtractor, annotated: AnnotatedImages) -> str:
    """A key that changes with the backbone, the runtime and the list of images."""
    digest = hashlib.sha256(extractor.key().encode())
    for image in annotated:
        digest.update(f"{image.name}\n{image.label}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
