"""`keras-cam models`: list the models that can be built by name, or prepare one to run fast."""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from keras_cam.cli.console import print_table, say
from keras_cam.cli.loading import check_model, usage_errors_of
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, UsageError
from keras_cam.inference.load import is_exported
from keras_cam.inference.runtimes import LITERT, RUNTIMES, converted
from keras_cam.progress import working


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "models", help="list the models that can be built by name, or prepare one to run fast"
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="one JSON object for each model")
    parser.add_argument(
        "--prepare",
        metavar="NAME|FILE",
        help="convert this model now, with the default options, so that other commands find it",
    )
    parser.add_argument(
        "--runtime",
        choices=[name for name, row in RUNTIMES.items() if row.format],
        default=LITERT,
        help="what --prepare converts for (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Print a row of a table or a line of JSON for each model; or prepare one."""
    return _prepare(args.prepare, args.runtime) if args.prepare else _list(args.json)


def _prepare(model: str, runtime: str) -> int:
    check_model(model)
    if is_exported(model):
        raise UsageError(f"--prepare must be a name or a file of Keras. Received: {model}, which is exported")
    import_quietly()
    with working(f"Converting {model}"), usage_errors_of(model):
        file = converted(model, runtime, {})
    say(f"{model} for {runtime}: {file}")
    return DONE


def _list(as_json: bool) -> int:
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
            "files": spec.files or None,
        }
        for name, spec in MODELS.items()
    ]
    if as_json:
        print(*map(json.dumps, models), sep="\n")
    else:
        _print(models)
    return DONE


def _print(models: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            model["name"],
            model["family"],
            f"{model['parameters'] / 1e6:.1f} M",
            _size_text(model["input_size"]),
            _size_text(model["map_size"]),
            model["weights"] or "none",
            "yes" if model["offline"] else "",
            model["files"] or "",
        )
        for model in models
    ]
    header = ("model", "family", "parameters", "input", "map", "ImageNet weights", "on this machine", "files")
    print_table(header, rows, right=("parameters", "input", "map"))


def _size_text(size_hw: Sequence[int] | None) -> str:
    return "none" if size_hw is None else " x ".join(map(str, size_hw))
