"""Options that several commands have: what adds them to a parser, and what reads them."""

import argparse
import math
import re
from pathlib import Path
from typing import Any

from keras_cam.annotations.selection import Selection
from keras_cam.cli.usage import UsageError
from keras_cam.images.sources import source_of
from keras_cam.inference.load import DEFAULT_MODEL, DEFAULT_TOP_K
from keras_cam.inference.runtimes import AUTO, RUNTIMES, WORTH_CONVERTING
from keras_cam.models.labels import LABEL_LISTS
from keras_cam.recipes import DEFAULT_REFINE, RECIPES, REFINE_HELP, REFINEMENTS, THRESHOLD

DEFAULT_OUTPUT = Path("keras-cam-output")

KERAS_MODEL = "a name from `keras-cam models` or a .keras file"
ANY_MODEL = "a name from `keras-cam models`, a .keras file or an exported model"


def add_model(parser: "argparse._ActionsContainer", what: str = KERAS_MODEL) -> None:
    """Add `--model`; `what` says which models the command takes."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="NAME|FILE", help=f"{what} (default: %(default)s)"
    )


def add_layer(parser: "argparse._ActionsContainer") -> None:
    """Add `--layer`, for a command that takes the features of a model."""
    parser.add_argument(
        "--layer", help="take the features of this layer; earlier ones are finer (default: what is pooled)"
    )


def add_data(parser: "argparse._ActionsContainer", what: str = "what `keras-cam evaluate` takes") -> None:
    """Add `--data`, `--allow-outside` and `--range`, which `keras_cam.cli.loading.read_data` reads."""
    parser.add_argument("--data", required=True, metavar="PATH", help=what)
    add_allow_outside(parser)
    add_range(parser)


def add_photos(parser: "argparse._ActionsContainer", help_text: str) -> None:
    """Add the positional arguments of a command that reads photos."""
    parser.add_argument("photos", nargs="+", type=_photo, metavar="PHOTO|FOLDER", help=help_text)


def _photo(text: str) -> Path | str:
    """A file, or a source, whose name may be a URL."""
    return text if source_of(text) else Path(text)


# More images need gigabytes, and are not faster.
_MOST_IN_A_BATCH = 1024


def add_batch_size(parser: "argparse._ActionsContainer", default: int = 32) -> None:
    """Add `--batch-size`."""
    parser.add_argument(
        "--batch-size",
        type=_batch_size,
        default=default,
        metavar="N",
        help=f"images that go through the model at once, at most {_MOST_IN_A_BATCH} (default: %(default)s)",
    )


def add_runtime(
    parser: "argparse._ActionsContainer", prepared: str = "also by `keras-cam models --prepare MODEL`, "
) -> None:
    """Add `--runtime`; `prepared` says what else converts the model for this command."""
    parser.add_argument(
        "--runtime",
        choices=(AUTO, *RUNTIMES),
        default=AUTO,
        help="what computes. auto: tensorflow on a GPU; on a CPU litert, if the model was converted before, "
        f"{prepared}or there are at least {WORTH_CONVERTING} photos (default: %(default)s)",
    )


def add_top_k(parser: "argparse._ActionsContainer") -> None:
    """Add `--top-k`. It is None unless given, because a saved localizer refuses the option."""
    parser.add_argument(
        "--top-k", type=positive, metavar="K", help=f"classes per photo (default: {DEFAULT_TOP_K})"
    )


def add_threshold(parser: "argparse._ActionsContainer") -> None:
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


def add_selection(parser: "argparse._ActionsContainer") -> None:
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


def add_labels(parser: "argparse._ActionsContainer") -> None:
    """Add `--labels`."""
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="NAME|FILE",
        help=f"the names of the classes: {', '.join(LABEL_LISTS)}, or a file with one a line",
    )


def add_refine(parser: "argparse._ActionsContainer") -> None:
    """Add `--refine`. It is None unless given, because a saved localizer refuses the option."""
    parser.add_argument(
        "--refine",
        choices=REFINEMENTS,
        help=f"the maps from which boxes are made. {REFINE_HELP} (default: {DEFAULT_REFINE})",
    )


def add_window(parser: "argparse._ActionsContainer") -> None:
    """Add `--window`. It is None unless given."""
    parser.add_argument(
        "--window",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="the model takes grey values as they are, of 16 bits or floats, and its graph cuts them to "
        "LOW..HIGH, which become black and white; models of other than RGB images keep their channels",
    )


def window_of(args: argparse.Namespace) -> tuple[float, float] | None:
    """The values of `--window`; None if it was not given."""
    if args.window and not args.window[0] < args.window[1]:
        raise UsageError(f"--window must be LOW HIGH with LOW < HIGH. Received: {args.window}")
    return tuple(args.window) if args.window else None


def localizer_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `keras_cam.load_localizer`; those that were not given are None."""
    options = {name: getattr(args, name) for name in ("top_k", "threshold", "refine", "method")}
    return {**options, "window": window_of(args)}


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


def add_allow_outside(parser: "argparse._ActionsContainer") -> None:
    """Add `--allow-outside`."""
    parser.add_argument(
        "--allow-outside",
        action="store_true",
        help="annotation files may name images outside of their folder",
    )


def add_range(parser: "argparse._ActionsContainer") -> None:
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
