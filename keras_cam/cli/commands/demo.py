"""`keras-cam demo`: localize photos that are installed with scikit-image."""

import argparse
from pathlib import Path
from typing import Any

from keras_cam.cli.commands import localize
from keras_cam.cli.console import picture_paths, say
from keras_cam.cli.options import DEFAULT_OUTPUT

PHOTOS = ("chelsea.png", "coffee.png", "camera.png", "motorcycle_left.png")


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser("demo", help="localize photos that come with scikit-image; needs no network")
    parser.set_defaults(run=run)
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="default: %(default)s/"
    )


def run(args: argparse.Namespace) -> int:
    """Localize the photos, and put their pictures on one sheet."""
    from skimage import data_dir  # type: ignore[attr-defined]  # its stub file lacks it

    from keras_cam.drawing.pictures import gallery
    from keras_cam.images.files import write_png

    photos = [Path(data_dir) / name for name in PHOTOS]
    parser = argparse.ArgumentParser()
    localize.add_parser(parser.add_subparsers())
    command = ["localize", *map(str, photos), f"--output={args.output}"]
    status = localize.run(parser.parse_args(command))
    sheet = args.output / "gallery.png"
    write_png(sheet, gallery(picture_paths(photos, args.output)))
    say(f"All in one: {sheet}")
    return status
