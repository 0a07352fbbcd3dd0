"""Photos a second of `keras-cam localize`, as ratios in one run.

    python benchmarks/throughput.py FOLDER [--photos 600] [--turns 3] [--only LINE ...] [--peers PYTHON]

What is compared runs by turns, start included, so that other work disturbs all alike:

- localize: the command, `--json` into a file; tensorflow: the same with `--runtime tensorflow`;
- pictures: the command with its pictures; png: with pictures as PNG;
- reading: bare reading and resizing of the photos by as many threads as there are processors;
- compute: bare LiteRT, an interpreter a processor, of one photo again and again;
- grad-cam, tf-keras-vis: photos in, pictures out by other packages, see `benchmarks/peers.py`; with
  `--peers`, an interpreter that has them. Compare with the line pictures.

Wall time says how fast it is on a quiet machine; CPU time, of all processes, how much work it is on any.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from keras_cam.images.files import find_images, read_reduced
from keras_cam.images.processors import usable_processors
from keras_cam.images.resize import resize
from keras_cam.inference import LiteRTLocalizer
from keras_cam.inference.load import DEFAULT_MODEL, is_exported
from keras_cam.inference.runtimes import converted

SIZE_HW = (320, 320)
PEERS = Path(__file__).with_name("peers.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="leave out other lines")
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|FILE", help="of our command")
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter with grad-cam and tf-keras-vis")
    parser.add_argument("--part", choices=("reading", "compute"), help=argparse.SUPPRESS)
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        files = list(map(Path, arguments.list.read_text().splitlines()))
        return read(files) if arguments.part == "reading" else compute(files, arguments.model)
    litert_file(arguments.model)  # converting is not what is measured
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos.txt"
        files = islice(cycle(find_images(arguments.folder)), arguments.photos)
        links = [link(path, Path(folder) / f"{number}{path.suffix}") for number, path in enumerate(files)]
        photos.write_text("\n".join(map(str, links)))
        commands = {
            name: command
            for name, command in commands_of(photos, Path(folder), arguments).items()
            if not arguments.only or name in arguments.only
        }
        report(commands, arguments.turns, arguments.photos)


def litert_file(model: str) -> Path:
    """The LiteRT file of a model, from the cache or made now; or the model, if it is one."""
    return Path(model) if is_exported(model) else converted(model, "litert", {})


def commands_of(photos: Path, folder: Path, arguments: argparse.Namespace) -> dict[str, list[str]]:
    """The command line of each line of the report."""
    model = ["--model", arguments.model]
    ours = [sys.executable, "-m", "keras_cam.cli.main", "localize", f"@{photos}", *model]
    part = [sys.executable, __file__, str(folder), "--list", str(photos), *model, "--part"]
    peers = {
        name: [arguments.peers, str(PEERS), name, str(photos), str(folder / name)]
        for name in ("grad-cam", "tf-keras-vis")
        if arguments.peers
    }
    pictures = ["--json", "--output", str(folder / "pictures")]
    return {
        "localize": [*ours, "--json"],
        "tensorflow": [*ours, "--json", "--runtime", "tensorflow"],
        "pictures": [*ours, *pictures],
        "png": [*ours, *pictures, "--picture-format", "png"],
        "reading": [*part, "reading"],
        "compute": [*part, "compute"],
        **peers,
    }


def link(path: Path, name: Path) -> Path:
    """Another name for a photo, so that no two pictures have the same."""
    name.symlink_to(path.resolve())
    return name


def report(commands: dict[str, list[str]], turns: int, photos: int) -> None:
    """Run all by turns and print photos a second, and ratios to the first line."""
    wall: dict[str, list[float]] = {name: [] for name in commands}
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(turns):
        for name, command in commands.items():
            seconds, work = measured(command)
            wall[name].append(seconds)
            cpu[name].append(work)
    first = next(iter(commands))
    print(f"{photos} photos, {usable_processors()} processors, {turns} turns")
    print(f"{'':<12} {'photos/s':>9} {'ratio':>7} {'CPU ms a photo':>15} {'ratio':>7}")
    for name in commands:
        rate, work = photos / statistics.median(wall[name]), statistics.median(cpu[name])
        ratios = [one / other for one, other in zip(wall[first], wall[name], strict=True)]
        works = [one / other for one, other in zip(cpu[first], cpu[name], strict=True)]
        print(
            f"{name:<12} {rate:>9.1f} {statistics.median(ratios):>7.2f} {1e3 * work / photos:>15.1f} "
            f"{statistics.median(works):>7.2f}"
        )


def measured(command: list[str]) -> tuple[float, float]:
    """The wall time and the CPU time of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return end - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def read(files: list[Path]) -> None:
    with ThreadPoolExecutor(usable_processors()) as pool:
        for _ in pool.map(lambda file: resize(read_reduced(file, SIZE_HW).pixels, SIZE_HW), files):
            pass


def compute(files: list[Path], model: str) -> None:
    os.environ.setdefault("GLOG_minloglevel", "2")
    localizer = LiteRTLocalizer(litert_file(model))
    image = resize(read_reduced(files[0], SIZE_HW).pixels, SIZE_HW)[None].repeat(8, axis=0)
    for start in range(0, len(files), 8):
        localizer.localize(image[: len(files) - start])


if __name__ == "__main__":
    main()
