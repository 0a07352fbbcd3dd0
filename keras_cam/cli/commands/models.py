"""`keras-cam models`: list the models that can be built by name."""

import argparse
import json
from typing import Any

from keras_cam.cli.console import print_models
from keras_cam.cli.usage import DONE


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser("models", help="list the models that can be built by name")
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="one JSON object a model")


def run(args: argparse.Namespace) -> int:
    """Print a row of a table or a line of JSON for each model."""
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
    if args.json:
        print(*map(json.dumps, models), sep="\n")
    else:
        print_models(models)
    return DONE
