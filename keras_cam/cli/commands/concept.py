"""`keras-cam concept`: learn a visual concept from folders or captions, and localize it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, progress, say
from keras_cam.cli.loading import check_model, load_backbone, report_problems, save_model
from keras_cam.cli.options import add_allow_outside, add_layer, add_model, positive
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError, check_suffix
from keras_cam.progress import working
from keras_cam.recipes import REFINED_IMAGE_SIZE

if TYPE_CHECKING:
    import keras

    from keras_cam.applications.discovery.concepts import Concept
    from keras_cam.data import AnnotatedImages


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "concept", help="learn a concept from folders of photos or from captions, and localize it"
    )
    parser.set_defaults(run=run)
    parser.add_argument("--positives", type=Path, metavar="DIR", help="photos that are said to show it")
    parser.add_argument(
        "--split",
        help="which part of the positives, if they are annotated as `keras-cam evaluate` takes them, such as "
        "Street View Text's train (default: all images below the folder)",
    )
    parser.add_argument("--negatives", type=Path, metavar="DIR", help="photos that do not show it")
    parser.add_argument(
        "--captions", type=Path, metavar="FILE", help="instead: CSV, TSV or JSON lines with image and caption"
    )
    parser.add_argument("--phrase", metavar="WORDS", help="words that captions of positives contain")
    parser.add_argument("--name", help="the name of the concept (default: the phrase, or the folder's name)")
    add_model(parser, "the network that gives the features")
    add_layer(parser)
    parser.add_argument(
        "--output", required=True, type=Path, metavar="FILE", help="the detector to write, a .keras file"
    )
    add_allow_outside(parser)
    parser.add_argument("--photos", nargs="+", type=Path, metavar="DIR", help="other photos, to be ranked")
    parser.add_argument("--gallery", type=Path, metavar="FILE", help="a picture (.png) of the best of them")
    parser.add_argument(
        "--top",
        type=positive,
        default=12,
        metavar="N",
        help="how many of the best in the picture (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Learn the concept, write the detector, and draw the gallery if its options are given."""
    folders, captions = (args.positives, args.negatives), (args.captions, args.phrase)
    if all(folders) == all(captions) or any(folders) == any(captions):
        raise UsageError("Either --positives and --negatives, or --captions and --phrase must be given.")
    if args.split and not args.positives:
        raise UsageError(f"--split goes with --positives. Received: --split {args.split}")
    if bool(args.photos) != bool(args.gallery):
        raise UsageError("--photos and --gallery go together.")
    check_suffix("output", args.output, ".keras")
    check_suffix("gallery", args.gallery, ".png")
    check_model(args.model)
    import_quietly()

    backbone = load_backbone(args.model, args.layer, REFINED_IMAGE_SIZE)
    try:
        concept = _learn(backbone, *_examples(args), args.name or args.phrase or args.positives.name)
        with working(f"Writing {args.output}"):
            save_model(concept.classifier, args.output)
    except (ModuleNotFoundError, OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    rounds, negatives = len(concept.negatives), concept.negatives[-1]
    say(f"Detector: {args.output}, trained on {negatives} negatives in {rounds} rounds")
    failures = list(concept.failures)
    if args.gallery:
        failures += _draw(concept, args.photos, args.gallery, args.top)
    for failure in failures:
        complain(failure)
    return SOME_FAILED if failures else DONE


def _examples(args: argparse.Namespace) -> "tuple[AnnotatedImages, AnnotatedImages]":
    from keras_cam.applications.discovery.concepts import images_in, read_captions
    from keras_cam.data import read_annotations

    if args.captions:
        found = read_captions(args.captions, args.phrase, args.allow_outside)
        report_problems(found[1])
        return found
    if not args.split:
        return images_in(args.positives), images_in(args.negatives)
    positives = read_annotations(args.positives, args.split, allow_outside=args.allow_outside)
    report_problems(positives)
    return positives, images_in(args.negatives)


def _learn(
    backbone: "keras.Model", positives: "AnnotatedImages", negatives: "AnnotatedImages", name: str
) -> "Concept":
    from keras_cam.applications.discovery.concepts import learn_concept

    with progress(len(positives) + len(negatives), "Looking at examples") as advance:
        return learn_concept(backbone, positives, negatives, name, on_image=advance)


def _draw(concept: "Concept", photos: list[Path], file: Path, count: int) -> list[str]:
    """Write the gallery; returns the errors of unreadable photos."""
    from keras_cam.applications.discovery.concepts import ranked
    from keras_cam.drawing.pictures import draw_localization, gallery
    from keras_cam.images.files import find_images, write_png

    files = find_images(photos)
    with progress(len(files), "Ranking photos") as advance:
        best, failures = ranked(concept.classifier, files, advance)
    with working(f"Writing {file}"):
        write_png(file, gallery([draw_localization(record.image, record) for record in best[:count]]))
    say(f"Gallery: {file}")
    return failures
