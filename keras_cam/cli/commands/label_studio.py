"""`keras-cam label-studio`: predict boxes and masks for the people who label."""

import argparse
from pathlib import Path
from typing import Any

from keras_cam.cli.loading import check_model, load_model
from keras_cam.cli.options import ANY_MODEL, add_model, add_selection, add_top_k, selection_of
from keras_cam.cli.usage import DONE, UsageError


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "label-studio", help="predict boxes and masks for Label Studio, as its backend"
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "images_dir",
        type=Path,
        metavar="FOLDER",
        help="Label Studio's LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT; no photo outside is read",
    )
    add_model(parser, ANY_MODEL)
    add_top_k(parser)
    add_selection(parser)
    parser.add_argument("--masks", action="store_true", help="masks, too, if the project has BrushLabels")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9090, help="0: a free one (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Answer requests until interrupted."""
    if not args.images_dir.is_dir():
        raise UsageError(f"FOLDER must be a folder. Received: {args.images_dir}")
    check_model(args.model)
    from keras_cam.annotations.label_studio_backend import LabelStudioBackend, backend_server

    localizer, selection = load_model(args.model, top_k=args.top_k), selection_of(args)
    try:
        selection.check_names(localizer.class_names)
        backend = LabelStudioBackend(localizer, args.images_dir, args.model, selection, args.masks)
        server = backend_server(backend, args.host, args.port)
    except (ValueError, OSError, OverflowError) as error:
        raise UsageError(str(error)) from error
    with server:
        print(f"http://{args.host}:{server.server_address[1]}", flush=True)
        server.serve_forever()
    return DONE
