"""`keras-cam export`: write a localizer in the format of another runtime."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import say
from keras_cam.cli.loading import check_model, load_model, read_labels
from keras_cam.cli.options import (
    add_labels,
    add_model,
    add_refine,
    add_threshold,
    add_top_k,
    add_window,
    window_of,
)
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, UsageError
from keras_cam.formats import FORMATS, QUANTIZATIONS, load_object
from keras_cam.inference.load import is_exported
from keras_cam.inference.runtimes import TENSORFLOW
from keras_cam.progress import working

if TYPE_CHECKING:
    import keras


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "export", help="write a localizer for TensorFlow Serving, phones, browsers or ONNX"
    )
    parser.set_defaults(run=run)
    add_model(parser)
    described = "; ".join(f"{name}: {row.summary}" for name, row in FORMATS.items())
    parser.add_argument("--format", required=True, choices=FORMATS, help=described)
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="what to write")
    add_top_k(parser)
    add_refine(parser)
    add_threshold(parser)
    add_window(parser)
    add_labels(parser)
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        help="for LiteRT models: store weights, or weights and activations, in fewer bits; see "
        "help(keras_cam.export.save_litert)",
    )
    parser.add_argument(
        "--representative-data",
        type=Path,
        metavar="DIR",
        help="for int8 and int8_full: a folder of about 100 typical photos",
    )


def run(args: argparse.Namespace) -> int:
    """Export the model and print what was written."""
    target = FORMATS[args.format]
    labels = read_labels(args.labels)
    check_model(args.model)
    window = window_of(args)
    options = {"quantization": args.quantization, "representative_data": args.representative_data}
    if not target.is_quantized and any(options.values()):
        quantized = " or ".join(name for name, row in FORMATS.items() if row.is_quantized)
        raise UsageError(
            f"--quantization and --representative-data go with --format {quantized}. "
            f"Received: --format {args.format}"
        )
    if is_exported(args.model):
        raise UsageError(
            f"--model must be a name or a .keras file. Received: {args.model}, which is exported already"
        )
    import_quietly()

    loaded: Any = load_model(
        args.model,
        runtime=TENSORFLOW,
        top_k=args.top_k,
        threshold=args.threshold,
        refine=args.refine,
        window=window,
    )
    localizer = loaded.model
    try:
        # Keras announces downloads on stdout.
        with working(f"Writing {args.output}"), redirect_stdout(sys.stderr):
            save = load_object(target.writer)
            written = save(localizer, args.output, labels, **(options if target.is_quantized else {}))
    except OSError as error:
        raise UsageError(f"--output {args.output}: {error.strerror or error}") from error
    except (ValueError, ModuleNotFoundError) as error:
        raise UsageError(str(error)) from error
    _report(localizer, labels, written, args)
    return DONE


def _report(
    localizer: "keras.Model",
    labels: Sequence[str] | None,
    written: Path | Sequence[Path],
    args: argparse.Namespace,
) -> None:
    """Print what was written, what is in it, and a command that uses it."""
    from keras_cam.graph import names
    from keras_cam.localizer import image_size_hw
    from keras_cam.models.labels import labels_of

    paths = [written] if isinstance(written, Path) else written
    say(*paths)
    height, width = image_size_hw(localizer)
    refined = names.LOCALIZATION_MAPS in localizer.output
    classes = localizer.get_layer(names.SCORES).output.shape[-1]
    named = "with their names" if labels or labels_of(localizer) else "without names of their own"
    say(f"size: {_megabytes(paths[0]):.1f} MB")
    channels = localizer.inputs[0].shape[-1]
    kind = {1: "grey images", 3: "RGB images, 0..255,"}.get(channels, f"images with {channels} bands")
    say(f"input: {kind} of {height} x {width} pixels")
    say(f"output: boxes of {'refined' if refined else 'class activation'} maps; {classes} classes {named}")
    if FORMATS[args.format].reader:
        say(f"try it: keras-cam localize photos/ --model {shlex.quote(str(paths[0]))}")


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
