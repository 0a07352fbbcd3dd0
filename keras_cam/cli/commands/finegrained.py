"""`keras-cam finegrained`: classify whole images, CAM boxes and ground-truth boxes, and compare."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, print_json, print_table, progress, say
from keras_cam.cli.loading import check_model, load_backbone, read_data
from keras_cam.cli.options import add_data, add_model, add_refine, positive
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, UsageError, check_suffix
from keras_cam.recipes import DEFAULT_REFINE, NONE, REFINED_IMAGE_SIZE

if TYPE_CHECKING:
    from keras_cam.applications.discovery.fine_grained import FineGrainedComparison
    from keras_cam.data import AnnotatedImages


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "finegrained", help="classify whole images, CAM boxes and ground-truth boxes by linear SVMs"
    )
    parser.set_defaults(run=run)
    add_data(parser)
    parser.add_argument(
        "--split",
        action="append",
        help="a split of the data, such as train; repeat the option to join several",
    )
    add_model(parser)
    parser.add_argument(
        "--locator", metavar="NAME|FILE", help="another model that localizes (default: the same)"
    )
    add_refine(parser)
    parser.add_argument(
        "--folds",
        type=positive,
        default=5,
        metavar="N",
        help="folds of the cross-validation (default: %(default)s)",
    )
    parser.add_argument(
        "--repeats",
        type=positive,
        default=1,
        metavar="N",
        help="repetitions of the cross-validation (default: %(default)s)",
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images of each split")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="write a picture (.png) of some CAM boxes and crops"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Compare, and print the accuracies."""
    check_suffix("picture", args.picture, ".png")
    for model in filter(None, (args.model, args.locator)):
        check_model(model)
    import_quietly()
    from keras_cam.applications.discovery.fine_grained import draw_crops
    from keras_cam.images.files import write_png

    try:
        comparison = _compare(args)
        _print_json(comparison) if args.json else _print_rows(comparison)
        if args.picture:
            args.picture.parent.mkdir(parents=True, exist_ok=True)
            write_png(args.picture, draw_crops(comparison))
    except (OSError, ModuleNotFoundError, ValueError) as error:
        raise UsageError(str(error)) from error
    return DONE


def _compare(args: argparse.Namespace) -> "FineGrainedComparison":
    from keras_cam.applications.discovery.fine_grained import compare_crops, stratified_folds

    annotated = read_splits(args)
    folds = stratified_folds(annotated.labels, args.folds, args.repeats)
    backbone = load_backbone(args.model)
    locator = None
    refine = args.refine or DEFAULT_REFINE
    if args.locator or refine != NONE:
        size = 0 if refine == NONE else REFINED_IMAGE_SIZE
        locator = load_backbone(args.locator or args.model, smallest_size=size)
    passes = 2 + len(folds)
    with progress(passes * len(annotated), "Extracting features") as advance:
        return compare_crops(
            backbone,
            annotated,
            folds,
            locator,
            localizer_options={"refine": refine},
            on_image=advance,
        )


def read_splits(args: argparse.Namespace) -> "AnnotatedImages":
    """Read all splits as one data set."""
    from keras_cam.data import AnnotatedImages, match_classes

    parts = [read_data(args, split) for split in args.split or [None]]
    names = max((part.class_names for part in parts), key=len)
    images = []
    for number, part in enumerate(parts):
        match = match_classes(part.class_names, len(names), names)
        if match.remark:
            complain(match.remark)
        images += [replace(image, name=f"{number}/{image.name}") for image in match.apply(part[: args.limit])]
    return AnnotatedImages(str(args.data), names, tuple(images))


def _print_rows(comparison: "FineGrainedComparison") -> None:
    from keras_cam.applications.discovery.fine_grained import FULL_IMAGE

    rows = []
    for row in comparison.accuracies:
        gain = "" if row == FULL_IMAGE else _text(*comparison.gain(row, over=FULL_IMAGE), "+")
        rows.append((row, _text(*comparison.mean(row)), gain))
    header = ("what is classified", "accuracy", "better than the full image by")
    print_table(header, rows, right=header[1:])
    if comparison.iou_over_half:
        share = sum(comparison.iou_over_half) / len(comparison.iou_over_half)
        say(f"CAM boxes with IoU of at least 0.5: {share:.1%}. Intervals: 95 %, over the folds.")


def _text(mean: float, half_width: float, sign: str = "") -> str:
    return f"{mean:{sign}.1%} ± {half_width:.1%}"


def _print_json(comparison: "FineGrainedComparison") -> None:
    from keras_cam.applications.discovery.fine_grained import FULL_IMAGE

    figures = {
        row: {"mean": mean, "half_width": half_width, "folds": comparison.accuracies[row]}
        for row in comparison.accuracies
        for mean, half_width in [comparison.mean(row)]
    }
    gains = {row: comparison.gain(row, over=FULL_IMAGE) for row in figures if row != FULL_IMAGE}
    print_json({"accuracy": figures, "gain": gains, "iou_over_half": comparison.iou_over_half})
