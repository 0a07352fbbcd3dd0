"""`keras-cam localize`: classes, maps and boxes of photos."""

import argparse
import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from keras_cam.cli.console import complain, picture_paths, print_localizations, progress
from keras_cam.cli.quiet_libraries import import_quietly, quiet_c_libraries
from keras_cam.cli.usage import (
    DEFAULT_MODEL,
    DEFAULT_OUTPUT,
    DONE,
    SOME_FAILED,
    UsageError,
    add_batch_size,
    add_labels,
    add_photos,
    add_refine,
    add_threshold,
    add_top_k,
    check_model,
    load_model,
    read_labels,
)
from keras_cam.inference.load import needs_tensorflow
from keras_cam.inference.methods import METHODS, methods_help
from keras_cam.inference.records import Localization
from keras_cam.recipes import DEFAULT_GRADIENT_METHOD


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser("localize", help="find what is in photos, and where")
    parser.set_defaults(run=run)
    add_photos(parser, "image files; a folder stands for all images below it")
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help="a name from `keras-cam models`, a .keras file or an exported model (default: %(default)s)",
    )
    add_top_k(parser)
    methods = {name: method for name, method in METHODS.items() if method.is_in_the_graph}
    parser.add_argument(
        "--method",
        choices=methods,
        metavar="NAME",
        help=f"how maps are made. {methods_help(methods)} (default: cam, or {DEFAULT_GRADIENT_METHOD} where "
        "no map is exact)",
    )
    add_refine(parser)
    add_threshold(parser)
    add_labels(parser)
    add_batch_size(parser, default=8)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help=f"folder for the pictures (default: {DEFAULT_OUTPUT}/)"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object for each photo; pictures only with --output",
    )


def run(args: argparse.Namespace) -> int:
    """Localize the photos; returns the exit status."""
    output = args.output or (None if args.json else DEFAULT_OUTPUT)
    return localize_photos(
        [file for path in args.photos for file in _photos(path, output)],
        output,
        model=args.model,
        top_k=args.top_k,
        threshold=args.threshold,
        refine=args.refine,
        method=args.method,
        labels_file=args.labels,
        batch_size=args.batch_size,
        as_json=args.json,
    )


def localize_photos(
    files: Sequence[Path],
    output: Path | None,
    *,
    model: str = DEFAULT_MODEL,
    top_k: int | None = None,
    threshold: float | None = None,
    refine: str | None = None,
    method: str | None = None,
    labels_file: Path | None = None,
    batch_size: int = 8,
    as_json: bool = False,
) -> int:
    """Localize files, print a line of JSON for each or a table of all, and write their pictures."""
    labels = read_labels(labels_file)
    check_model(model)
    pictures: Sequence[Path | None] = [None] * len(files)
    if output:
        _make_folder(output)
        pictures = picture_paths(files, output)
    if needs_tensorflow(model):
        import_quietly()
    # LiteRT prints a banner; TensorFlow printed its own when it was imported.
    with nullcontext() if needs_tensorflow(model) else quiet_c_libraries():
        localizer = load_model(model, top_k, threshold, refine, method)
    if labels is not None and len(labels) != localizer.classes:
        raise UsageError(
            f"--labels must name the {localizer.classes} classes of the model. "
            f"Received: {labels_file} with {len(labels)} names"
        )
    from keras_cam.inference.files import localize_files

    results = localize_files(localizer, files, labels, model, batch_size)
    done = []
    with progress(len(files)) as advance:
        for picture, result in zip(pictures, results, strict=True):
            if not isinstance(result, Localization):
                complain(result.error)
            elif picture is None or _draw(result, picture):
                done.append(result)
                if as_json:
                    print(json.dumps(result.to_dict()), flush=True)
            advance()
    if not as_json:
        print_localizations(done)
        if done:
            print(f"Pictures: {output}{os.sep}")
    return DONE if len(done) == len(files) else SOME_FAILED


def _photos(path: Path, output: Path | None) -> Sequence[Path]:
    """Find the image files of a path."""
    from keras_cam.images.files import find_images

    files = find_images([path])
    # `keras-cam localize .` must skip the pictures that its last run wrote.
    if output and path.resolve() in output.resolve().parents:
        return [file for file in files if output.resolve() not in file.resolve().parents] or [path]
    return files


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--output must be a folder that can be written. Received: {folder} ({error.strerror})"
        ) from error


def _draw(record: "Localization", picture: Path) -> bool:
    """Write the picture of a photo; returns whether that succeeded."""
    from keras_cam.images.files import ImageError

    try:
        record.save(picture)
    except (ImageError, OSError) as error:
        complain(str(error) if isinstance(error, ImageError) else f"Cannot write {picture}: {error.strerror}")
        return False
    return True
