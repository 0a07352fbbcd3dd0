"""What `keras-cam localize` writes besides pictures: annotations, crops and JSON."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_cam.annotations.formats import ANNOTATION_FORMATS
from keras_cam.annotations.selection import Selection
from keras_cam.check_finite import NotFiniteError
from keras_cam.cli.console import print_json
from keras_cam.cli.options import selection_of
from keras_cam.cli.usage import UsageError
from keras_cam.inference.model_file import ModelFileError
from keras_cam.inference.records import Localization


@dataclass(frozen=True)
class Results:
    """Where the records of photos and of frames go.

    Attributes:
        selection: which detections are kept.
        masks: whether masks are written and drawn, too.
        as_json: whether records are printed as JSON.
        writers: the functions that write a record, one for each kind of annotations.
    """

    selection: Selection
    masks: bool
    as_json: bool
    writers: Sequence[Callable[[Localization], None]]

    def write(self, record: Localization) -> None:
        """Write a record to the annotations, and print it if it is to be JSON.

        Raises:
            ImageError: the photo, which some annotations copy, cannot be read.
        """
        for write in self.writers:
            write(record)
        if self.as_json:
            print_json(record.to_dict(self.masks))


def annotations_of(args: argparse.Namespace) -> list[tuple[str, Path]]:
    """The formats and places of what is written besides pictures."""
    asked = ((args.format, args.output), ("crops", args.crops))
    return [(name, path) for name, path in asked if name and path]


@contextmanager
def open_results(args: argparse.Namespace, class_names: Sequence[str]) -> Iterator[Results]:
    """Begin the annotations, which appear when the block ends.

    Raises:
        UsageError: they cannot be written, or `--classes` or `--min-score` names a class that is none.
    """
    selection, annotations = selection_of(args), annotations_of(args)
    try:
        selection.check_names(class_names)
    except ValueError as error:
        raise UsageError(f"--classes, --min-score: {error}") from error
    with ExitStack() as stack:
        try:
            writers = [
                stack.enter_context(_writer(args, name, path, selection, class_names))
                for name, path in annotations
            ]
            yield Results(selection, args.masks, args.json, writers)
            stack.close()
        except (ValueError, OSError, ModuleNotFoundError) as error:
            if not annotations or isinstance(error, BrokenPipeError | NotFiniteError | ModelFileError):
                raise
            places = ", ".join(str(path) for _, path in annotations)
            raise UsageError(f"Cannot write {places}: {error}") from error


def _writer(
    args: argparse.Namespace, name: str, path: Path, selection: Selection, class_names: Sequence[str]
) -> Any:
    from keras_cam.annotations.export import annotation_writer

    make_folder(path.parent)
    masks = args.masks and ANNOTATION_FORMATS[name].has_masks
    classes: Any = selection.classes
    return annotation_writer(
        path, name, class_names=class_names, classes=classes, masks=masks, images_dir=args.images_dir
    )


def make_folder(folder: Path) -> None:
    """Make a folder for results, unless it is there. Raises a `UsageError` if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--output must be a folder that can be written. Received: {folder} ({error.strerror})"
        ) from error
