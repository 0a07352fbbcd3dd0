"""`keras-cam foreground`: learn from unlabelled photos which regions belong to objects."""

import argparse
from pathlib import Path
from typing import Any

from keras_cam.cli.console import complain, progress, say
from keras_cam.cli.loading import check_model, load_classifier, save_model
from keras_cam.cli.options import KERAS_MODEL, add_model, add_photos, positive
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError, check_suffix
from keras_cam.progress import working
from keras_cam.recipes import AFFINITY, AUTO, NONE, REFINE_HELP, REFINED_IMAGE_SIZE, REFINEMENTS


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "foreground", help="learn from unlabelled photos which regions belong to objects, for better boxes"
    )
    parser.set_defaults(run=run)
    add_photos(parser, "a few hundred photos like those to be localized")
    add_model(parser, f"a classifier: {KERAS_MODEL}")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="FILE", help="the localizer to write, a .keras file"
    )
    parser.add_argument(
        "--refine",
        choices=[name for name in REFINEMENTS if name not in (AUTO, NONE)],
        default=AFFINITY,
        help=f"the maps that the foreground improves. {REFINE_HELP} (default: %(default)s)",
    )
    parser.add_argument(
        "--top-k", type=positive, default=5, metavar="K", help="classes per photo (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=positive, default=12, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Train the foreground network and write the localizer."""
    check_suffix("output", args.output, ".keras")
    check_model(args.model)
    import_quietly()
    import keras_cam
    from keras_cam.images.files import find_images
    from keras_cam.training import train_foreground

    files = find_images(args.photos)
    classifier = load_classifier(args.model, REFINED_IMAGE_SIZE)
    failures = []

    try:
        with progress(len(files), "Looking at photos") as advance:

            def on_image(error: str | None) -> None:
                advance()
                if error:
                    failures.append(error)

            foreground = train_foreground(
                classifier, files, epochs=args.epochs, seed=args.seed, on_image=on_image
            )
        with working(f"Writing {args.output}"):
            localizer = keras_cam.build_localizer(
                classifier, args.top_k, refine=args.refine, foreground=foreground
            )
            save_model(localizer, args.output)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    for failure in failures:
        complain(failure)
    say(f"Localizer: {args.output}")
    return SOME_FAILED if failures else DONE
