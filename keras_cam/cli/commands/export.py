"""`keras-cam export`: a model as one file, or one folder, for where it is to run."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import working
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import (
    DONE,
    UsageError,
    add_model,
    add_refine,
    add_threshold,
    add_top_k,
    check_model,
    load_model,
    read_labels,
)

if TYPE_CHECKING:
    import keras

QUANTIZED = ("litert", "mediapipe", "web")
QUANTIZATIONS = ("float16", "dynamic", "int8", "int8_full")


def add_parser(commands: Any) -> None:
    """Adds the command to those of `keras-cam`."""
    parser = commands.add_parser("export", help="make a model ready to run elsewhere")
    parser.set_defaults(run=run)
    add_model(parser)
    described = "; ".join(f"{name}: {what}" for name, (what, _) in FORMATS.items())
    parser.add_argument("--format", required=True, choices=FORMATS, help=described)
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="what to write")
    add_top_k(parser)
    add_refine(parser)
    add_threshold(parser)
    parser.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        help="which numbers become smaller in LiteRT models; see help(keras_cam.export.save_litert)",
    )
    parser.add_argument(
        "--representative-data",
        type=Path,
        metavar="DIR",
        help="for int8 and int8_full: 100 photos or so like those that the model is going to see",
    )


def run(args: argparse.Namespace) -> int:
    """Exports the model and names the files."""
    labels = read_labels(args.labels)
    check_model(args.model)
    if args.format not in QUANTIZED and (args.quantization or args.representative_data):
        raise UsageError(
            f"--quantization and --representative-data go with --format {' or '.join(QUANTIZED)}. "
            f"Received: --format {args.format}"
        )
    import_quietly()

    _, save = FORMATS[args.format]
    with working(f"Loading {args.model}"):
        loaded = load_model(args.model, args.top_k, args.threshold, args.refine)
    localizer = getattr(loaded, "model", None)
    if localizer is None:
        raise UsageError(
            f"--model must be a name or a .keras file. Received: {args.model}, which is exported"
        )
    try:
        with working(f"Writing {args.output}"):
            written = save(localizer, labels, args)
    except OSError as error:
        raise UsageError(f"--output {args.output}: {error.strerror or error}") from error
    except (ValueError, ModuleNotFoundError) as error:
        raise UsageError(str(error)) from error
    print(*written, sep="\n")
    return DONE


def _save_saved_model(
    localizer: "keras.Model", labels: Sequence[str] | None, args: argparse.Namespace
) -> Sequence[Path]:
    from keras_cam.export import next_version, save_saved_model, write_serving_files

    version = args.output if args.output.name.isdecimal() else next_version(args.output)
    saved = save_saved_model(localizer, version, labels)
    return [saved, *write_serving_files(saved.parent)]


def _save_file(
    localizer: "keras.Model", labels: Sequence[str] | None, args: argparse.Namespace
) -> Sequence[Path]:
    """Writes the file or folder of a format whose function is called after it."""
    from keras_cam import export

    options = {}
    if args.format in QUANTIZED:
        options = {"quantization": args.quantization, "representative_data": args.representative_data}
    with redirect_stdout(sys.stderr):  # Keras announces downloads on stdout
        return [getattr(export, f"save_{args.format}")(localizer, args.output, labels, **options)]


# The formats: what they are for, and the function that writes them and returns what it has written.
FORMATS: dict[str, tuple[str, Callable[..., Sequence[Path]]]] = {
    "saved_model": ("for TensorFlow Serving and TensorFlow; PATH is the model's folder", _save_saved_model),
    "litert": ("for phones and Python without TensorFlow; PATH is a .tflite file", _save_file),
    "mediapipe": ("for MediaPipe's ObjectDetector; PATH is a .tflite file", _save_file),
    "web": ("a page that runs the model in the browser; PATH is a new folder", _save_file),
    "onnx": ("for ONNX Runtime and OpenVINO; PATH is a .onnx file", _save_file),
}
