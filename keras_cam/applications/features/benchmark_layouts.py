"""The three layouts in which benchmarks are published: folders of classes, lists of files, MATLAB tables."""

import glob
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keras_cam.applications.features.benchmark_images import Attributes, Benchmark, BenchmarkImages, Split
from keras_cam.data import AnnotatedImages, AnnotationError, ImageIndex
from keras_cam.data.image_folders import read_image_folders
from keras_cam.data.text_table import read_table


def read_folders(folder: str, benchmark: Benchmark) -> BenchmarkImages:
    """Read a folder of images for each class, and make random splits."""
    everything = read_image_folders(_find(folder, benchmark.folders))
    excluded = {label for label, name in enumerate(everything.class_names) if name in benchmark.excluded}
    kept = tuple(image for image in everything if image.label not in excluded)
    images = replace(everything, images=kept)
    counts = np.bincount(images.labels, minlength=len(images.class_names))
    for label, count in enumerate(counts):
        if label not in excluded and count <= benchmark.train:
            raise AnnotationError(
                f"{benchmark.title} needs more than {benchmark.train} images of each class. "
                f"Found: {count} of {images.class_names[label]!r} in {images.source}"
            )
    splits = (_random_split(images, benchmark, seed) for seed in range(benchmark.runs))
    return BenchmarkImages(benchmark, images, tuple(splits))


def _random_split(images: AnnotatedImages, benchmark: Benchmark, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    names, train, test = np.array([image.name for image in images], object), [], []
    last = None if benchmark.test is None else benchmark.train + benchmark.test
    for label in np.unique(images.labels):
        shuffled = rng.permutation(names[images.labels == label])
        train += shuffled[: benchmark.train].tolist()
        test += shuffled[benchmark.train : last].tolist()
    return Split(tuple(train), tuple(test))


def read_lists(folder: str, benchmark: Benchmark) -> BenchmarkImages:
    """Read published splits: text files with the path of an image on each line."""
    root, lists = _find(folder, benchmark.folders), _find(folder, benchmark.lists)
    index, files, splits = ImageIndex(folder), dict[str, str](), []
    for run in range(1, benchmark.runs + 1):
        parts = []
        for pattern in benchmark.files:
            listed: dict[str, str] = {}
            for file in _matching(lists, pattern.format(run=run)):
                names = read_table(file, index, 1, "".join)
                listed |= dict.fromkeys((name.lstrip("/") for name in names), file)
            parts.append(tuple(listed))
            files |= listed
        splits.append(Split(*parts))
    class_names = sorted({_class_of(name) for name in files})
    classes = {name: label for label, name in enumerate(class_names)}
    for name, file in sorted(files.items()):
        index.add(name, os.path.join(root, name), file, classes[_class_of(name)], root=root)
    return BenchmarkImages(benchmark, index.finish(class_names, strict=False), tuple(splits))


def _class_of(name: str) -> str:
    """The folder of an image or, without a folder, its name without the number: `reading_007.jpg`."""
    return os.path.dirname(name) or name.rpartition("_")[0]


def read_attributes(folder: str, benchmark: Benchmark) -> BenchmarkImages:
    """Read MATLAB files with the paths of images and the votes for their attributes."""
    root, tables = _find(folder, benchmark.folders), _find(folder, benchmark.lists)
    paths = [str(path).lstrip("/") for path in _load_mat(tables, "images.mat", "images")]
    names = [str(name).strip() for name in _load_mat(tables, "attributes.mat", "attributes")]
    votes = _load_mat(tables, "attributeLabels_continuous.mat", "labels_cv")
    if votes.shape != (len(paths), len(names)):
        raise AnnotationError(
            f"attributeLabels_continuous.mat in {tables} must have a row for each of the {len(paths)} images "
            f"and a column for each of the {len(names)} attributes. Found: {votes.shape}"
        )
    index, file = ImageIndex(folder), os.path.join(tables, "images.mat")
    class_names = sorted({os.path.dirname(path) for path in paths})
    classes = {name: label for label, name in enumerate(class_names)}
    for path in paths:
        index.add(path, os.path.join(root, path), file, classes[os.path.dirname(path)], root=root)
    images = index.finish(class_names, strict=False)
    return BenchmarkImages(benchmark, images, attributes=Attributes(tuple(names), tuple(paths), votes))


def _load_mat(folder: str, file: str, variable: str) -> np.ndarray:
    from scipy.io import loadmat

    path = os.path.join(folder, file)
    try:
        return np.atleast_1d(loadmat(path, squeeze_me=True)[variable])
    # scipy raises nearly anything on bytes it does not expect.
    except Exception as error:
        raise AnnotationError(
            f"{path} must be a MATLAB file with the variable `{variable}`. Found: {error!r}"
        ) from error


def _find(folder: str, places: Sequence[str]) -> str:
    """The first of the places that exists in `folder`; or `folder` itself if it has the name of one."""
    for place in places:
        below = os.path.join(folder, place)
        if os.path.isdir(below):
            return below
        if os.path.isdir(folder) and os.path.basename(os.path.abspath(folder)) == place:
            return folder
    raise AnnotationError(f"{folder} must have the folder {' or '.join(places)}. Found: {_listing(folder)}")


def _matching(folder: str, pattern: str) -> list[str]:
    files = sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
    if not files:
        raise AnnotationError(f"{folder} must have the file {pattern}. Found: {_listing(folder)}")
    return files


def _listing(folder: str, first: int = 10) -> str:
    if not os.path.isdir(folder):
        return "no such folder"
    names = sorted(os.listdir(folder))
    return (", ".join(names[:first]) or "nothing") + ", …" * (len(names) > first)
