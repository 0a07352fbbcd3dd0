"""The command line: `keras-cam localize`, `demo`, `evaluate` and `models`.

Everything heavy is imported inside the commands, so that help and errors of usage appear at once.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import keras_cam
from keras_cam.console import complain, picture_paths, print_localizations, print_models, progress
from keras_cam.evaluate_command import add_evaluate_parser, evaluate_models, read_data
from keras_cam.quiet_tensorflow import import_quietly

if TYPE_CHECKING:
    import keras

    from keras_cam.records import Localization

DONE, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
DEFAULT_MODEL = "efficientnet_lite0"
DEFAULT_OUTPUT = Path("keras-cam-output")
DEMO_PHOTOS = ("chelsea.png", "coffee.png", "camera.png", "motorcycle_left.png")


class UsageError(Exception):
    """What the user asked for cannot be done; the message says why, in one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; None takes those of the process.

    Returns:
        The exit status: 0 all done, 1 some inputs failed, 2 wrong usage, 130 interrupted.
    """
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except UsageError as error:
        complain(f"error: {error}")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # who reads our output, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-cam",
        description="Classes, class activation maps and boxes from image classifiers, in one forward pass.",
        epilog="Exit status: 0 all done, 1 some inputs failed (each is named on stderr), 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"keras-cam {keras_cam.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    _add_localize_parser(commands)

    demo = commands.add_parser("demo", help="localize photos that come with scikit-image; needs no network")
    demo.set_defaults(run=_demo)
    demo.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="default: %(default)s/"
    )

    evaluation = add_evaluate_parser(commands, _positive, DEFAULT_MODEL)
    evaluation.set_defaults(run=_evaluate)

    models = commands.add_parser("models", help="list the models that can be built by name")
    models.set_defaults(run=_models)
    models.add_argument("--json", action="store_true", help="one JSON object a model")
    return parser


def _add_localize_parser(commands: Any) -> None:
    localize = commands.add_parser("localize", help="say what is in photos, and where")
    localize.set_defaults(run=_localize)
    localize.add_argument(
        "photos", nargs="+", type=Path, metavar="PHOTO|FOLDER", help="a folder stands for all images below it"
    )
    localize.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help="a name from `keras-cam models` or a .keras file (default: %(default)s)",
    )
    localize.add_argument(
        "--top-k", type=_positive, default=5, metavar="K", help="classes a photo (default: %(default)s)"
    )
    localize.add_argument(
        "--threshold",
        type=_fraction,
        default=0.2,
        metavar="T",
        help="the part of a map's maximum that a box has to exceed (default: %(default)s)",
    )
    localize.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    localize.add_argument(
        "--batch-size", type=_positive, default=8, metavar="N", help="photos at once (default: %(default)s)"
    )
    localize.add_argument(
        "--output", type=Path, metavar="DIR", help=f"folder for the pictures (default: {DEFAULT_OUTPUT}/)"
    )
    localize.add_argument(
        "--json", action="store_true", help="one JSON object a photo; pictures only with --output"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1. Received: {text}")
    return int(text)


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1). Received: {text}")
    return value


def _localize(args: argparse.Namespace) -> int:
    output = args.output or (None if args.json else DEFAULT_OUTPUT)
    files = [file for path in args.photos for file in _photos(path, output)]
    return _run(files, args, output)


def _photos(path: Path, output: Path | None) -> Sequence[Path]:
    """The image files that `path` stands for."""
    from keras_cam.images import find_images

    files = find_images([path])
    # `keras-cam localize .` must not take the pictures of its last run for photos.
    if output and path.resolve() in output.resolve().parents:
        return [file for file in files if output.resolve() not in file.resolve().parents] or [path]
    return files


def _demo(args: argparse.Namespace) -> int:
    from skimage import data_dir  # type: ignore[attr-defined]  # its stub file lacks it

    from keras_cam.images import write_png
    from keras_cam.visualization import gallery

    photos = [Path(data_dir) / name for name in DEMO_PHOTOS]
    status = _run(photos, _parser().parse_args(["localize", *map(str, photos)]), args.output)
    sheet = args.output / "gallery.png"
    write_png(sheet, gallery(picture_paths(photos, args.output)))
    print(f"All in one: {sheet}")
    return status


def _evaluate(args: argparse.Namespace) -> int:
    names = args.model or [DEFAULT_MODEL]
    if len(names) > 2:
        raise UsageError(f"--model may be given once or twice. Received: {', '.join(names)}")
    for name in names:
        _check_model(name)
    import_quietly()

    try:
        annotated = read_data(args)
        localizers = [(name, _load_localizer(name)) for name in names]
        return DONE if evaluate_models(args, annotated, localizers) else SOME_FAILED
    except ValueError as error:
        raise UsageError(str(error)) from error


def _models(args: argparse.Namespace) -> int:
    from keras_cam.models.registry import MODELS, has_offline_weights

    models = [
        {
            "name": name,
            "family": spec.family,
            "parameters": spec.parameters,
            "input_size": spec.input_size,
            "map_size": spec.map_size,
            "weights": "classifier" if spec.full_weights else "backbone" if spec.backbone_weights else None,
            "offline": has_offline_weights(name),
        }
        for name, spec in MODELS.items()
    ]
    if args.json:
        print(*map(json.dumps, models), sep="\n")
    else:
        print_models(models)
    return DONE


def _run(files: Sequence[Path], args: argparse.Namespace, output: Path | None) -> int:
    """Localizes the files and reports on each: a line of JSON, or a row of the table and a picture."""
    labels = _read_labels(args.labels)
    _check_model(args.model)
    pictures: Sequence[Path | None] = [None] * len(files)
    if output:
        _make_folder(output)
        pictures = picture_paths(files, output)
    localizer, labels = _load(args, labels)

    from keras_cam.file_localizer import FailedImage, localize_files

    results = localize_files(localizer, files, labels, args.model, args.batch_size)
    done = []
    with progress(len(files)) as advance:
        for picture, result in zip(pictures, results, strict=True):
            if isinstance(result, FailedImage):
                complain(result.error)
            elif picture is None or _draw(result, picture):
                done.append(result)
                if args.json:
                    print(json.dumps(result.to_dict()), flush=True)
            advance()
    if not args.json:
        print_localizations(done)
        if done:
            print(f"Pictures: {output}{os.sep}")
    return DONE if len(done) == len(files) else SOME_FAILED


def _read_labels(path: Path | None) -> Sequence[str] | None:
    from keras_cam.labels import read_labels

    try:
        return read_labels(path) if path else None
    except ValueError as error:
        raise UsageError(f"--labels: {error}") from error


def _check_model(model: str) -> None:
    """Says what is wrong with the name before anything slow starts."""
    from keras_cam.models.registry import MODELS, REFUSED

    if model in REFUSED:
        raise UsageError(f"--model {model} cannot be built: {REFUSED[model]}")
    if model not in MODELS and not Path(model).exists():
        raise UsageError(f"--model must be a .keras file or one of {', '.join(MODELS)}. Received: {model}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--output must be a folder that can be written. Received: {folder} ({error.strerror})"
        ) from error


def _load(
    args: argparse.Namespace, labels: Sequence[str] | None
) -> "tuple[keras.Model, Sequence[str] | None]":
    """The localizer, and labels that fit its classes."""
    import_quietly()

    from keras_cam.file_localizer import class_count
    from keras_cam.labels import labels_for

    localizer = _load_localizer(args.model, args.top_k, args.threshold)
    classes = class_count(localizer)
    if labels is not None and classes not in (None, len(labels)):
        raise UsageError(
            f"--labels must name the {classes} classes of the model. "
            f"Received: {args.labels} with {len(labels)} names"
        )
    return localizer, labels or (labels_for(classes) if classes else None)


def _load_localizer(model: str, top_k: int = 5, threshold: float = 0.2) -> "keras.Model":
    from keras_cam.file_localizer import load_localizer

    try:
        with redirect_stdout(sys.stderr):  # Keras announces downloads on stdout, which is ours for JSON
            return load_localizer(model, top_k, threshold)
    # Keras raises TypeError for an unknown layer and a plain Exception for a failed download.
    except Exception as error:
        raise UsageError(f"--model {model}: {shorten(str(error), 600)}") from error


def _draw(record: "Localization", picture: Path) -> bool:
    """Writes the picture of one photo; tells whether that went well."""
    from keras_cam.images import ImageError, write_png
    from keras_cam.visualization import display_size, draw_localization

    try:
        write_png(picture, draw_localization(display_size(record.image), record))
    except (ImageError, OSError) as error:
        complain(str(error) if isinstance(error, ImageError) else f"Cannot write {picture}: {error.strerror}")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
