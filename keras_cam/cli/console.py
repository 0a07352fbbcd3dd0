"""What the command line shows: tables on stdout, error messages and progress on stderr."""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

from keras_cam.check_finite import NotFiniteError
from keras_cam.cli.quiet_libraries import quiet_c_libraries
from keras_cam.images.sources import reason_of
from keras_cam.inference.records import Detection, Localization
from keras_cam.plain_text import plain_text
from keras_cam.progress import on_terminal
from keras_cam.progress import progress as plain_progress

_LOW_SCORE = 0.1


def complain(*lines: str) -> None:
    """Write a message to stderr, usually of one line; what is invisible in it is shown, see `plain_text`."""
    sys.stderr.write(f"keras-cam: {_shown(lines)}\n")
    sys.stderr.flush()


class OutputError(Exception):
    """Standard output cannot be written; the message is the reason."""


@contextmanager
def standard_output() -> Iterator[None]:
    """Print at once, and tell errors of standard output from those of other files."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(reason_of(error)) from error


def print_json(value: Any) -> None:
    """Print a value as one line of JSON, at once.

    Raises:
        NotFiniteError: a number is NaN or infinite, which JSON does not know.
    """
    try:
        line = json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise NotFiniteError(
            f"A result is NaN or infinite, which JSON does not know. Received: {value}"
        ) from error
    with standard_output():
        print(line)


def say(*lines: object) -> None:
    """Write lines for people to stdout; what is invisible in them is shown, see `plain_text`."""
    with standard_output():
        print(_shown(lines))


def _shown(lines: Iterable[object]) -> str:
    return "\n".join(plain_text(str(line)) for line in lines)


@contextmanager
def progress(total: int, task: str = "Localizing") -> Iterator[Callable[..., None]]:
    """Show a progress bar on stderr if that is a terminal; yields the function that advances it.

    It takes the number of steps, 1 by default.

    While a bar is drawn, what C libraries write to stderr is held back: a warning of libtiff about a broken
    file would tear the bar.
    """
    with quiet_c_libraries() if on_terminal() else nullcontext(), plain_progress(total, task) as advance:
        yield lambda steps=1: advance(steps)


class LocalizationTable:
    """A table of the classes and boxes of all photos. It keeps what it prints, and no map."""

    def __init__(self) -> None:
        self._images: list[str] = []
        self._rows: list[list[tuple[str, str, str, str]]] = []
        self._has_low_score = False

    def add(self, record: Localization) -> None:
        """Add the rows of a photo."""
        self._images.append(record.image)
        self._rows.append(
            [
                (str(rank), found.label, f"{found.score:.1%}", _box_text(found))
                for rank, found in enumerate(record.detections, 1)
            ]
        )
        self._has_low_score |= bool(record.detections) and record.detections[0].score < _LOW_SCORE

    def print(self) -> None:
        """Print the table."""
        rows = [
            (name if place == 0 else "", *cells)
            for name, lines in zip(_short_names(self._images), self._rows, strict=True)
            for place, cells in enumerate(lines)
        ]
        header = ("image", "rank", "class", "score", "box (xmin, ymin, xmax, ymax)")
        print_table(header, rows, right=("rank", "score"))
        if self._has_low_score:
            say(f"Best scores below {_LOW_SCORE:.0%}: no class stands out, so the first one is a guess.")


def _short_names(files: Sequence[str]) -> list[str]:
    """The paths relative to their common folder."""
    paths = [os.path.abspath(file) for file in files]
    shared = os.path.commonpath(map(os.path.dirname, paths)) if paths else ""
    # A name may hold bytes that are not valid UTF-8, which a terminal cannot show.
    return [os.fsencode(os.path.relpath(path, shared)).decode(errors="replace") for path in paths]


def _box_text(detection: Detection) -> str:
    if detection.box_xyxy is None:
        return detection.remark
    sides = ", ".join(str(round(value)) for value in detection.box_xyxy)
    return f"{sides} ({detection.remark})" if detection.remark else sides


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    """Print a table. The columns named in `right` are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for name in header:
        table.add_column(
            Text(plain_text(name)), justify="right" if name in right else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(plain_text(text)) for text in row))  # file names may look like Rich's markup
    # For a file or a pipe rich assumes 80 columns, but there is no need to wrap lines there.
    console = Console(width=None if sys.stdout.isatty() else 160)
    with console.capture() as text:  # rich itself would exit without a word when a pipe is closed
        console.print(table)
    with standard_output():
        print(text.get(), end="")


def picture_paths(files: Sequence[Path], folder: Path, suffix: str = ".jpg") -> list[Path]:
    """A path in `folder` for the picture of each file; no two are the same, and none is one of the inputs.

    Examples:
        >>> [path.name for path in picture_paths([Path("a/x.jpg"), Path("b/X.png")], Path("out"))]
        ['x_cam.jpg', 'X_cam-2.jpg']
    """
    # Some file systems ignore case.
    taken = {_key(file) for file in files}
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(2))
    paths = []
    for file in files:
        path = folder / f"{file.stem}_cam{suffix}"
        while _key(path) in taken:  # a number is tried once for a stem, however many files have it
            path = folder / f"{file.stem}_cam-{next(numbers[file.stem.casefold()])}{suffix}"
        taken.add(_key(path))
        paths.append(path)
    return paths


def _key(path: Path) -> str:
    return os.path.abspath(path).casefold()
