"""What the commands share: exit statuses, usage errors, arguments and their types, loading of models."""

import argparse
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from keras_cam.annotations.selection import Selection
from keras_cam.cli.console import complain
from keras_cam.cli.quiet_libraries import import_quietly, quiet_c_libraries
from keras_cam.images.sources import source_of
from keras_cam.inference.load import DEFAULT_MODEL, DEFAULT_TOP_K
from keras_cam.inference.runtimes import (
    AUTO,
    RUNTIME_HELP,
    RUNTIMES,
    TENSORFLOW,
    load_fastest,
    starts_tensorflow,
)
from keras_cam.models.labels import LABEL_LISTS
from keras_cam.progress import working
from keras_cam.recipes import DEFAULT_REFINE, RECIPES, REFINE_HELP, REFINEMENTS, THRESHOLD

if TYPE_CHECKING:
    import keras

    from keras_cam.data import AnnotatedImages
    from keras_cam.inference import Localizer

DONE, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
DEFAULT_OUTPUT = Path("keras-cam-output")


class UsageError(Exception):
    """The arguments of a command cannot be used; the message is one line with the reason."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, for a command that takes Keras models only."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help="a name from `keras-cam models` or a .keras file (default: %(default)s)",
    )


def add_photos(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Add the positional arguments of a command that reads photos."""
    parser.add_argument("photos", nargs="+", type=_photo, metavar="PHOTO|FOLDER", help=help_text)


def _photo(text: str) -> Path | str:
    """A file, or a source, whose name may be a URL."""
    return text if source_of(text) else Path(text)


def add_any_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model` of a command that takes any localizer, see `load_model`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help="a name from `keras-cam models`, a .keras file or an exported model (default: %(default)s)",
    )


# More images need gigabytes, and are not faster.
_MOST_IN_A_BATCH = 1024


def add_batch_size(parser: argparse.ArgumentParser, default: int = 32) -> None:
    """Add `--batch-size`."""
    parser.add_argument(
        "--batch-size",
        type=_batch_size,
        default=default,
        metavar="N",
        help=f"images that go through the model at once, at most {_MOST_IN_A_BATCH} (default: %(default)s)",
    )


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Add `--runtime`."""
    parser.add_argument(
        "--runtime", choices=(AUTO, *RUNTIMES), default=AUTO, help=f"{RUNTIME_HELP} (default: %(default)s)"
    )


def add_top_k(parser: argparse.ArgumentParser) -> None:
    """Add `--top-k`. It is None unless given, because a saved localizer refuses the option."""
    parser.add_argument(
        "--top-k", type=positive, metavar="K", help=f"classes per photo (default: {DEFAULT_TOP_K})"
    )


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """Add `--threshold`. It is None unless given."""
    refined = ", ".join(
        f"of {name} {' and '.join(map(str, recipe.thresholds))}" for name, recipe in RECIPES.items()
    )
    parser.add_argument(
        "--threshold",
        type=fraction,
        metavar="T",
        help="a box encloses the cells above this fraction of the map's maximum (default: "
        f"{THRESHOLD}; {refined}, with the mean of the boxes)",
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add `--min-score` and `--classes`."""
    parser.add_argument(
        "--min-score",
        type=_min_score,
        action="append",
        default=[],
        metavar="S|CLASS=S",
        help="leave out detections with a lower score; CLASS=S sets it for one class; may be repeated",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="CLASS",
        help="leave out all other classes; in annotations these are numbered in this order",
    )


def selection_of(args: argparse.Namespace) -> Selection:
    """What `--min-score` and `--classes` select."""
    scores = dict(args.min_score)
    return Selection(scores.pop(None, 0.0), scores, args.classes)


def _min_score(text: str) -> tuple[str | None, float]:
    """Parse a number in [0, 1], for all classes (None) or for the class before the last "="."""
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1], or CLASS=NUMBER. Received: {text}")
    return name or None, value


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add `--labels`."""
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="NAME|FILE",
        help=f"the names of the classes: {', '.join(LABEL_LISTS)}, or a file with one a line",
    )


def add_refine(parser: argparse.ArgumentParser) -> None:
    """Add `--refine`. It is None unless given, because a saved localizer refuses the option."""
    parser.add_argument(
        "--refine",
        choices=REFINEMENTS,
        help=f"the maps from which boxes are made. {REFINE_HELP} (default: {DEFAULT_REFINE})",
    )


def add_window(parser: argparse.ArgumentParser) -> None:
    """Add `--window`. It is None unless given."""
    parser.add_argument(
        "--window",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="the model takes grey values as they are, of 16 bits or floats, and its graph cuts them to "
        "LOW..HIGH, which become black and white; models of other than RGB images keep their channels",
    )


def window_of(args: argparse.Namespace) -> Sequence[float] | None:
    """What `--window` says; raises a `UsageError` unless it goes upwards."""
    if args.window and not args.window[0] < args.window[1]:
        raise UsageError(f"--window must be LOW HIGH with LOW < HIGH. Received: {args.window}")
    return args.window


def positive(text: str) -> int:
    """Parse a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1. Received: {text}")
    return int(text)


def _batch_size(text: str) -> int:
    if positive(text) > _MOST_IN_A_BATCH:
        raise argparse.ArgumentTypeError(f"must be at most {_MOST_IN_A_BATCH}. Received: {text}")
    return int(text)


def fraction(text: str) -> float:
    """Parse a number in [0, 1)."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1). Received: {text}")
    return value


def add_slice(parser: "argparse._ActionsContainer") -> None:
    """Add `--slice`, a pair: which of how many jobs, from 1."""
    parser.add_argument(
        "--slice", type=_slice, metavar="I/N", help="only each Nth part, from the Ith on: one of N jobs"
    )


def _slice(text: str) -> tuple[int, int]:
    """Parse "3/100"."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"must be I/N, where I is from 1 to N. Received: {text}")
    return int(found[1]), int(found[2])


def check_model(model: str) -> None:
    """Raise a `UsageError` if there is no such model, before TensorFlow is imported."""
    from keras_cam.models.registry import MODELS

    if model not in MODELS and not Path(model).exists():
        raise UsageError(
            "--model must be a .keras, .caffemodel or .pth file, an exported model or one of "
            f"{', '.join(MODELS)}. Received: {model}"
        )


def read_labels(path: Path | None) -> Sequence[str] | None:
    """Read the class names of `--labels`; None if it was not given."""
    from keras_cam.models.labels import read_labels as read

    try:
        return read(path) if path else None
    except ValueError as error:
        raise UsageError(f"--labels: {error}") from error


@contextmanager
def loading(model: str, runtime: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Start TensorFlow if it is needed, and be quiet while a model is loaded with these options.

    What goes wrong becomes a `UsageError`.
    """
    starts = starts_tensorflow(model, runtime, **options)
    if starts:
        import_quietly()
    # LiteRT prints a banner, and its converter much more; TensorFlow printed its own when it was imported.
    quiet = not starts or runtime != TENSORFLOW
    with quiet_c_libraries() if quiet else nullcontext(), working(f"Loading {model}"), usage_errors_of(model):
        yield


def load_model(
    model: str,
    top_k: int | None = None,
    threshold: float | None = None,
    refine: str | None = None,
    method: str | None = None,
    window: Sequence[float] | None = None,
    *,
    runtime: str = AUTO,
    photos: int = 1,
) -> "Localizer":
    """Load a localizer by name or file, quietly, see `load_fastest`. Raises a `UsageError` if that fails."""
    options = {
        "top_k": top_k,
        "threshold": threshold,
        "refine": refine,
        "method": method,
        "window": window,
    }
    with loading(model, runtime, options):
        localizer = load_fastest(model, runtime, photos, **options)
    if top_k is not None and top_k > localizer.classes:
        complain(f"--top-k {top_k}: the model has {localizer.classes} classes, which are all localized")
    return localizer


def load_classifier(model: str, smallest_size: int = 0) -> "keras.Model":
    """Load a classifier by name or file. Raises a `UsageError` if that fails, or if it is a localizer."""
    from keras_cam.inference.load import load_classifier as load
    from keras_cam.localizer import gives_boxes

    with usage_errors_of(model):
        classifier = load(model, smallest_size)
    if gives_boxes(classifier):
        raise UsageError(f"--model must be a classifier. Received: {model}, which is a localizer")
    return classifier


def load_backbone(model: str, layer: str | None = None, smallest_size: int = 0) -> "keras.Model":
    """Load a model up to a layer, by default up to the features that it pools.

    Raises a `UsageError` if that fails.
    """
    from keras_cam.applications.features import backbone_of
    from keras_cam.inference.load import load_classifier

    with usage_errors_of(model):
        return backbone_of(load_classifier(model, smallest_size), layer)


def add_allow_outside(parser: argparse.ArgumentParser) -> None:
    """Add `--allow-outside`."""
    parser.add_argument(
        "--allow-outside",
        action="store_true",
        help="annotation files may name images outside of their folder",
    )


def add_range(parser: argparse.ArgumentParser) -> None:
    """Add `--range`, see `range_of`."""
    parser.add_argument(
        "--range",
        nargs=2,
        type=float,
        metavar=("BLACK", "WHITE"),
        help="values of black and white in grey photos of more than 8 bits, such as 0 4095 of 12-bit cameras "
        "(default: what the file states)",
    )


def range_of(args: argparse.Namespace) -> tuple[float, float] | None:
    """The values of `--range`; None if it was not given."""
    if args.range and not -math.inf < args.range[0] < args.range[1] < math.inf:
        raise UsageError(f"--range must be the values of black and white. Received: {args.range}")
    return tuple(args.range) if args.range else None


def read_data(
    source: str | Path,
    split: str | None = None,
    strict: bool = False,
    allow_outside: bool = False,
    value_range: tuple[float, float] | None = None,
) -> "AnnotatedImages":
    """Read annotated images, and report wrong annotations on stderr.

    Raises:
        ValueError: there is no usable image.
    """
    from keras_cam.data import read_annotations

    annotated = read_annotations(
        source, split, strict=strict, allow_outside=allow_outside, value_range=value_range
    )
    report_problems(annotated)
    return annotated


def report_problems(annotated: "AnnotatedImages") -> None:
    """Report wrong annotations on stderr."""
    from keras_cam.data import describe_problems

    if annotated.problems:
        complain(*describe_problems(annotated.problems).split("\n"))


def check_suffix(option: str, path: Path | None, suffix: str) -> None:
    """Raise a `UsageError` unless a path ends in a suffix."""
    if path and path.suffix != suffix:
        raise UsageError(f"--{option} must end in {suffix}. Received: {path}")


def save_model(model: "keras.Model", path: Path) -> None:
    """Save a model to a `.keras` file, which appears whole or not at all."""
    from keras_cam.images.whole_file import whole_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        model.save(unfinished)


@contextmanager
def usage_errors_of(model: str) -> Iterator[None]:
    """Turn what goes wrong while a model is loaded into a `UsageError`."""
    try:
        with redirect_stdout(sys.stderr):  # Keras reports downloads on stdout, where JSON goes
            yield
    # Keras raises TypeError for an unknown layer and a plain Exception for a failed download.
    except Exception as error:
        raise UsageError(f"--model {model}: {shorten(str(error), 600)}") from error
