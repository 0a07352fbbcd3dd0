"""`keras-cam units`: class-specific units, and the images that activate them most."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, progress, say
from keras_cam.cli.loading import check_model, load_classifier
from keras_cam.cli.options import DEFAULT_OUTPUT, add_batch_size, add_model, add_photos, positive
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError

if TYPE_CHECKING:
    import keras
    import numpy as np

    from keras_cam.applications.discovery.unit_sheet import UnitRow
    from keras_cam.applications.discovery.units import UnitImages

WEIGHT, EFFECT = "weight", "effect"


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "units",
        help="show the units with the largest weights for a class, and the images that activate them most",
    )
    parser.set_defaults(run=run)
    add_photos(parser, "photos that are searched for high activations")
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        required=True,
        metavar="NAME|NUMBER",
        help="a class of the model; repeat the option for several",
    )
    add_model(parser)
    parser.add_argument(
        "--units", type=positive, default=5, metavar="N", help="units per class (default: %(default)s)"
    )
    parser.add_argument(
        "--top", type=positive, default=5, metavar="N", help="images per unit (default: %(default)s)"
    )
    parser.add_argument(
        "--rank-by",
        choices=(WEIGHT, EFFECT),
        default=WEIGHT,
        help="by weight; or by effect, the weight times the unit's standard deviation over the photos, for "
        "classifiers of `keras-cam features` (default: %(default)s)",
    )
    parser.add_argument(
        "--receptive-fields",
        action="store_true",
        help="measure empirical receptive fields by occlusion, which is slow",
    )
    add_batch_size(parser)
    parser.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="folder for units.html and units.png",
    )


def run(args: argparse.Namespace) -> int:
    """Search the photos and write the sheet."""
    check_model(args.model)
    import_quietly()

    from keras_cam.applications.discovery.unit_sheet import draw_unit_sheet, unit_sheet_html
    from keras_cam.applications.discovery.units import find_unit_images
    from keras_cam.applications.features import backbone_of
    from keras_cam.images.files import find_images, write_png
    from keras_cam.images.whole_file import whole_file

    model = load_classifier(args.model)
    try:
        backbone, classes = backbone_of(model), _classes(args.classes, model)
    except ValueError as error:
        raise UsageError(f"--model {args.model}: {error}") from error
    files = find_images(args.photos)
    with progress(len(files), "Looking through photos") as advance:
        found = find_unit_images(backbone, files, args.top, args.batch_size, advance)
    for failure in found.failures:
        complain(failure)
    if len(found.failures) == len(files):
        raise UsageError("None of the photos could be read.")
    deviations = found.deviations if args.rank_by == EFFECT else None
    with progress(len(classes) * args.units, "Cutting patches") as advance:
        rows = {
            name: [
                _row(unit, weight, found, backbone if args.receptive_fields else None, advance)
                for unit, weight in _units(model, class_id, args.units, deviations)
            ]
            for name, class_id in classes.items()
        }
    args.output.mkdir(parents=True, exist_ok=True)
    page, picture = args.output / "units.html", args.output / "units.png"
    with whole_file(page) as unfinished:
        unfinished.write_text(unit_sheet_html(rows, f"Units of {args.model}"), encoding="utf-8")
    write_png(picture, draw_unit_sheet(rows))
    say(page, picture)
    return SOME_FAILED if found.failures else DONE


def _classes(asked: list[str], model: "keras.Model") -> dict[str, int]:
    """The indices of the given classes, by their names."""
    from keras_cam.data import match_classes
    from keras_cam.models.labels import class_names, labels_of

    labels = class_names(model.output_shape[-1], carried=labels_of(model))
    classes = {}
    for name in asked:
        try:
            [number] = match_classes([name], len(labels), labels).numbers
        except ValueError as error:
            raise ValueError(
                f"--class must be the name or the number of a class. Received: {name}"
            ) from error
        classes[labels[number]] = number
    return classes


def _units(
    model: "keras.Model", class_id: int, count: int, deviations: "np.ndarray | None"
) -> list[tuple[int, float]]:
    from keras_cam.applications.discovery.units import class_units

    units, weights = class_units(model, class_id, count, deviations)
    return list(zip(units.tolist(), weights.tolist(), strict=True))


def _row(unit: int, weight: float, found: "UnitImages", backbone: Any, advance: Any) -> "UnitRow":
    from keras_cam.applications.discovery.unit_sheet import UnitRow
    from keras_cam.applications.discovery.units import receptive_field, segmented_patch
    from keras_cam.images.files import read_image

    best = [place for place, score in enumerate(found.scores[unit]) if score > 0]  # that activate the unit
    photos = [read_image(found.files[found.images[unit, place]]) for place in best]
    patches = [
        segmented_patch(photo, found.maps[unit, place]) for photo, place in zip(photos, best, strict=True)
    ]
    field = None
    if backbone is not None:
        _, field = receptive_field(backbone, unit, photos)
    advance()
    return UnitRow(unit, weight, field, patches)
