"""`keras-cam demo`: localize photos that are installed with scikit-image."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.commands import localize as localize_command
from keras_cam.cli.console import say
from keras_cam.cli.loading import load_model
from keras_cam.cli.options import DEFAULT_OUTPUT
from keras_cam.inference.load import DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np

PHOTOS = ("chelsea.png", "coffee.png", "camera.png", "motorcycle_left.png")
RULES = {"none": "the paper's rule", "affinity": "refined", "look_again": "second look"}
"""The rows of the gallery: values of `refine`, and what they are called there."""


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser("demo", help="localize photos that come with scikit-image; needs no network")
    parser.set_defaults(run=run)
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="default: %(default)s/"
    )


def run(args: argparse.Namespace) -> int:
    """Localize the photos; and put the boxes of each rule on one sheet, a row for each."""
    from skimage import data_dir  # type: ignore[attr-defined]  # its stub file lacks it

    from keras_cam.drawing.pictures import gallery
    from keras_cam.images.files import write_png

    photos = [Path(data_dir) / name for name in PHOTOS]
    parser = argparse.ArgumentParser()
    localize_command.add_parser(parser.add_subparsers())
    command = ["localize", *map(str, photos), f"--output={args.output}"]
    status = localize_command.run(parser.parse_args(command))
    sheet = args.output / "gallery.png"
    write_png(sheet, gallery(list(_by_each_rule(photos)), columns=len(photos), cell_wh=(360, 300)))
    say(f"All in one: {sheet}")
    return status


def _by_each_rule(photos: list[Path]) -> "Iterator[np.ndarray]":
    from keras_cam.drawing.pictures import overlay
    from keras_cam.inference.files import localize

    for refine, rule in RULES.items():
        localizer = load_model(DEFAULT_MODEL, refine=refine)
        for photo, record in zip(photos, localize(photos, localizer), strict=True):
            best = record.detections[0]
            yield overlay(photo, best.activation_map, [best.box_xyxy], [f"{best.label}, {rule}"])
