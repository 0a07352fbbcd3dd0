"""The eight data sets that the paper classifies by generic features, in the layouts they are published in."""

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError
from keras_cam.data.image_folders import read_image_folders
from keras_cam.data.image_index import ImageIndex
from keras_cam.data.text_table import read_table


@dataclass(frozen=True)
class Split:
    """One run of a benchmark: the names of the images to train on, and of those to test on."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Attributes:
    """What people said about images.

    Attributes:
        names: A names of attributes.
        images: N names of images.
        votes: float (N, A), the part of the people asked who see the attribute in the image: 0, 1/3, 2/3, 1.
    """

    names: tuple[str, ...]
    images: tuple[str, ...]
    votes: np.ndarray

    def split(self, attribute: int, train: int, test: int, seed: int) -> tuple[Split, frozenset[str]]:
        """Chooses images at random, as many with the attribute as without it.

        Two votes of three count as with it, none as without; images with one vote are not used.

        Args:
            attribute: its index.
            train: images to train on, of each kind.
            test: images to test on, of each kind. Of a rare attribute both are fewer, in proportion.
            seed: int, decides which.

        Returns:
            The split, and the names of all images with the attribute.

        Examples:
            >>> votes = np.array([[1.0], [2 / 3], [1 / 3], [0.0], [0.0]])
            >>> split, positives = Attributes(("open",), tuple("abcde"), votes).split(0, 1, 1, seed=0)
            >>> sorted(positives), sorted(split.train + split.test)
            (['a', 'b'], ['a', 'b', 'd', 'e'])
        """
        rng, names = np.random.default_rng([seed, attribute]), np.array(self.images, object)
        votes = self.votes[:, attribute]
        kinds = [rng.permutation(names[votes > 0.5]), rng.permutation(names[votes == 0])]
        available = min(map(len, kinds))
        if available < 2:
            raise AnnotationError(
                "Each attribute needs two images with it and two without. "
                f"Found: {len(kinds[0])} and {len(kinds[1])} of {self.names[attribute]!r}"
            )
        used = min(train + test, available)
        first = min(max(used * train // (train + test), 1), used - 1)
        return Split(
            tuple(np.concatenate([kind[:first] for kind in kinds])),
            tuple(np.concatenate([kind[first:used] for kind in kinds])),
        ), frozenset(kinds[0])


@dataclass(frozen=True, eq=False)
class BenchmarkImages:
    """The images of a benchmark, and how it divides them.

    Attributes:
        benchmark: its protocol.
        images: all images, with their classes.
        splits: the runs; empty if attributes are what is told apart.
        attributes: these; None if it is the classes.
    """

    benchmark: "Benchmark"
    images: AnnotatedImages
    splits: tuple[Split, ...] = ()
    attributes: Attributes | None = None


@dataclass(frozen=True)
class Benchmark:
    """A data set and its protocol.

    Attributes:
        title: what it is called.
        read: the reader of its layout.
        folders: where its images may be below the folder that a user names.
        train: images a class to train on (of an attribute: with it, and as many without it).
        test: images a class to test on; None for all others.
        runs: how many splits are averaged.
        lists: the folders where its lists may be, if it publishes its splits.
        files: the names of the lists to train and to test on, which `{run}` and `*` are filled into.
        excluded: folders that are no class.
    """

    title: str
    read: Callable[[str, "Benchmark"], BenchmarkImages]
    folders: tuple[str, ...]
    train: int
    test: int | None
    runs: int
    lists: tuple[str, ...] = ()
    files: tuple[str, str] = ("", "")
    excluded: tuple[str, ...] = ()


def read_benchmark(
    name: str, folder: str | Path, train: int | None = None, runs: int | None = None
) -> BenchmarkImages:
    """Reads a benchmark as it is published.

    Args:
        name: one of `BENCHMARKS`.
        folder: where it was unpacked: the folder that has the files and folders of its archives, or the one
            with the images if nothing else is needed.
        train: other than the usual number of images a class to train on; only where splits are random.
        runs: fewer or more than the usual number of runs.

    Returns:
        The images and their splits. Random ones are the same each time.

    Raises:
        ValueError: there is no such benchmark, or an argument does not go with it.
        AnnotationError: something is missing; the message says what was expected, where, and what is there.

    Reference:
        Zhou et al., CVPR 2016, section 4, table 5.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for kind in ("bocce", "polo"):
        ...     (folder / "event_dataset" / kind).mkdir(parents=True)
        ...     for number in range(4):
        ...         Image.new("RGB", (8, 8)).save(folder / "event_dataset" / kind / f"{number}.jpg")
        >>> event8 = read_benchmark("event8", folder, train=3, runs=2)
        >>> len(event8.images), [(len(split.train), len(split.test)) for split in event8.splits]
        (8, [(6, 2), (6, 2)])
    """
    if name not in BENCHMARKS:
        raise ValueError(f"`name` must be one of {list(BENCHMARKS)}. Received: name={name!r}")
    benchmark = BENCHMARKS[name]
    if min(train or 1, runs or 1) < 1:
        raise ValueError(f"`train` and `runs` must be at least 1. Received: train={train}, runs={runs}")
    if benchmark.files[0] and train is not None:
        raise ValueError(
            f"`train` must be None for {benchmark.title}, whose splits are published. Received: train={train}"
        )
    if benchmark.files[0] and (runs or 1) > benchmark.runs:
        raise ValueError(
            f"`runs` must be at most {benchmark.runs} for {benchmark.title}, whose splits are published. "
            f"Received: runs={runs}"
        )
    changed = replace(benchmark, train=train or benchmark.train, runs=runs or benchmark.runs)
    return benchmark.read(str(folder), changed)


def _read_folders(folder: str, benchmark: Benchmark) -> BenchmarkImages:
    """A folder of images for each class; splits are random."""
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


def _read_lists(folder: str, benchmark: Benchmark) -> BenchmarkImages:
    """Text files with the path of an image a line; splits are published."""
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
        index.add(name, os.path.join(root, name), file, classes[_class_of(name)])
    return BenchmarkImages(benchmark, index.finish(class_names, strict=False), tuple(splits))


def _class_of(name: str) -> str:
    """The folder of an image, or, without one, its name without the number: `reading_007.jpg`."""
    return os.path.dirname(name) or name.rpartition("_")[0]


def _read_attributes(folder: str, benchmark: Benchmark) -> BenchmarkImages:
    """MATLAB files with the paths of images and how many people see which attribute; splits are random."""
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
        index.add(path, os.path.join(root, path), file, classes[os.path.dirname(path)])
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
    """The first of several folders that is there: below `folder`, or this one itself by its name."""
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


BENCHMARKS = {
    "sun397": Benchmark(
        title="SUN397",
        read=_read_lists,
        folders=("SUN397",),
        train=50,
        test=50,
        runs=10,
        lists=("Partitions", "SUN397/Partitions"),
        files=("Training_{run:02}.txt", "Testing_{run:02}.txt"),
    ),
    "indoor67": Benchmark(
        title="MIT Indoor67",
        read=_read_lists,
        folders=("Images",),
        train=80,
        test=20,
        runs=1,
        lists=(".",),
        files=("TrainImages.txt", "TestImages.txt"),
    ),
    "scene15": Benchmark(
        title="Scene15",
        read=_read_folders,
        folders=("scene_categories",),
        train=100,
        test=None,
        runs=10,
    ),
    "sun_attribute": Benchmark(
        title="SUN Attribute",
        read=_read_attributes,
        folders=("images", "SUNAttributeDB/images", "SUN"),
        train=150,
        test=25,
        runs=5,
        lists=("SUNAttributeDB",),
    ),
    "caltech101": Benchmark(
        title="Caltech101",
        read=_read_folders,
        folders=("101_ObjectCategories",),
        train=30,
        test=50,
        runs=10,
        excluded=("BACKGROUND_Google",),
    ),
    "caltech256": Benchmark(
        title="Caltech256",
        read=_read_folders,
        folders=("256_ObjectCategories",),
        train=60,
        test=None,
        runs=10,
        excluded=("257.clutter",),
    ),
    "action40": Benchmark(
        title="Stanford Action40",
        read=_read_lists,
        folders=("JPEGImages",),
        train=100,
        test=None,
        runs=1,
        lists=("ImageSplits",),
        files=("*_train.txt", "*_test.txt"),
    ),
    "event8": Benchmark(
        title="UIUC Event8",
        read=_read_folders,
        folders=("event_dataset", "event_img"),
        train=70,
        test=60,
        runs=10,
    ),
}
"""The eight benchmarks of the paper's table 5, by name."""
