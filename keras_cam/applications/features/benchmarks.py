"""The table of the paper's eight benchmarks for generic features, and the function that reads them."""

from dataclasses import replace
from pathlib import Path

from keras_cam.applications.features.benchmark_images import Benchmark, BenchmarkImages
from keras_cam.applications.features.benchmark_layouts import read_attributes, read_folders, read_lists

BENCHMARKS = {
    "sun397": Benchmark(
        title="SUN397",
        read=read_lists,
        folders=("SUN397",),
        train=50,
        test=50,
        runs=10,
        lists=("Partitions", "SUN397/Partitions"),
        files=("Training_{run:02}.txt", "Testing_{run:02}.txt"),
    ),
    "indoor67": Benchmark(
        title="MIT Indoor67",
        read=read_lists,
        folders=("Images",),
        train=80,
        test=20,
        runs=1,
        lists=(".",),
        files=("TrainImages.txt", "TestImages.txt"),
    ),
    "scene15": Benchmark(
        title="Scene15",
        read=read_folders,
        folders=("scene_categories",),
        train=100,
        test=None,
        runs=10,
    ),
    "sun_attribute": Benchmark(
        title="SUN Attribute",
        read=read_attributes,
        folders=("images", "SUNAttributeDB/images", "SUN"),
        train=150,
        test=25,
        runs=5,
        lists=("SUNAttributeDB",),
    ),
    "caltech101": Benchmark(
        title="Caltech101",
        read=read_folders,
        folders=("101_ObjectCategories",),
        train=30,
        test=50,
        runs=10,
        excluded=("BACKGROUND_Google",),
    ),
    "caltech256": Benchmark(
        title="Caltech256",
        read=read_folders,
        folders=("256_ObjectCategories",),
        train=60,
        test=None,
        runs=10,
        excluded=("257.clutter",),
    ),
    "action40": Benchmark(
        title="Stanford Action40",
        read=read_lists,
        folders=("JPEGImages",),
        train=100,
        test=None,
        runs=1,
        lists=("ImageSplits",),
        files=("*_train.txt", "*_test.txt"),
    ),
    "event8": Benchmark(
        title="UIUC Event8",
        read=read_folders,
        folders=("event_dataset", "event_img"),
        train=70,
        test=60,
        runs=10,
    ),
}
"""The benchmarks of the paper's table 5, by name."""


def read_benchmark(
    name: str, folder: str | Path, train: int | None = None, runs: int | None = None
) -> BenchmarkImages:
    """Read a benchmark in the layout in which it is published.

    Args:
        name: a key of `BENCHMARKS`.
        folder: the folder into which its archives were unpacked; or the folder of its images, if no other
            file is needed.
        train: the number of training images of each class, where splits are random; None takes the usual one.
        runs: the number of runs; None takes the usual one.

    Returns:
        The images and their splits. Random splits are the same each time.

    Raises:
        ValueError: if there is no such benchmark, or it has published splits that do not allow an argument.
        AnnotationError: if a file or folder is missing; the message says which, and what is there.

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
