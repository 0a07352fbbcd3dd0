"""`keras-cam localize --parts`: rows for any number of photos, by any number of processes."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from keras_cam.cli.console import complain, progress, say
from keras_cam.cli.loading import check_model, loading, read_labels
from keras_cam.cli.options import add_slice, localizer_options, positive, range_of, selection_of
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError
from keras_cam.inference.converted_files import model_digest
from keras_cam.models.labels import class_names
from keras_cam.shards.engines import ENGINES
from keras_cam.shards.part_formats import PART_FORMATS
from keras_cam.shards.plan import Plan, digest_of_names
from keras_cam.shards.run import run_plan

if TYPE_CHECKING:
    from keras_cam.shards.photo_localizer import PhotoLocalizer


def add_parts(parser: argparse.ArgumentParser) -> None:
    """Add `--parts` and what goes with it."""
    group = parser.add_argument_group("any number of photos")
    group.add_argument(
        "--parts",
        type=Path,
        metavar="DIR",
        help="write rows into parts in this folder, in place of a table and pictures. The same command goes "
        "on with the parts that are missing",
    )
    group.add_argument(
        "--shard-size",
        type=positive,
        default=1000,
        metavar="N",
        help="photos in a part (default: %(default)s)",
    )
    add_slice(group)
    group.add_argument(
        "--part-format",
        choices=PART_FORMATS,
        default="parquet",
        help="the format of the parts (default: %(default)s)",
    )
    group.add_argument("--maps", action="store_true", help="the maps in the parts, too")
    engines = "; ".join(f"{name}: {row.summary}" for name, row in ENGINES.items())
    group.add_argument(
        "--on",
        choices=ENGINES,
        default="local",
        help=f"where parts are made. {engines} (default: %(default)s)",
    )


def refuse_without_parts(args: argparse.Namespace) -> None:
    """Raise a `UsageError` if an option is given that goes with `--parts` only."""
    given = {"slice": args.slice, "maps": args.maps, "on": args.on != "local"}
    for name in filter(given.get, given):
        raise UsageError(f"--{name} goes with --parts, the folder of the parts")


def run_parts(args: argparse.Namespace, photos: Sequence[str]) -> int:
    """Make the parts; returns the exit status."""
    excluded = ("output", "format", "json", "crops", "masks", "images_dir", "tiles", "smooth")
    given = [f"--{name.replace('_', '-')}" for name in excluded if getattr(args, name)]
    if given:
        raise UsageError(f"--parts does not go with {', '.join(given)}")
    check_model(args.model)
    try:
        ENGINES[args.on].check_installed()
        plan = _plan(args, photos)
        plan.save(args.parts)
        among = plan.slice(*args.slice) if args.slice else range(plan.shards)
        localize = _photo_localizer(args, photos)
        if plan.missing(args.parts, among):
            _check(localize)
        with progress(plan.size(among)) as advance:
            counts = run_plan(
                plan,
                args.parts,
                photos,
                localize,
                ENGINES[args.on].run,
                among=among,
                maps=args.maps,
                on_images=advance,
            )
        missing = len(plan.missing(args.parts))
    except (ValueError, ModuleNotFoundError) as error:
        raise UsageError(f"--parts {args.parts}: {error}") from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        complain(f"{place}{error.strerror or error}. What is there is kept: run the same command again")
        return SOME_FAILED
    return _report(args.parts, plan.shards, missing, counts)


def _report(folder: Path, parts: int, missing: int, counts: dict[str, int] | None) -> int:
    if counts is None:
        say(f"{parts - missing} of {parts} parts are there: {folder}")
        return DONE
    say(f"{counts['images']} photos, {counts['rows']} rows in {parts} parts: {folder}")
    if counts["failed"]:
        complain(f"{counts['failed']} photos could not be read; their rows say why")
    return SOME_FAILED if counts["failed"] else DONE


def _plan(args: argparse.Namespace, photos: Sequence[str]) -> Plan:
    options = {
        **localizer_options(args),
        "labels": read_labels(args.labels),
        "value_range": range_of(args),
        "selection": asdict(selection_of(args)),
        "maps": args.maps,
    }
    return Plan(
        len(photos),
        digest_of_names(photos),
        args.shard_size,
        args.model,
        model_digest(args.model),
        json.loads(json.dumps(options)),
        args.part_format,
    )


def _photo_localizer(args: argparse.Namespace, photos: Sequence[str]) -> "PhotoLocalizer":
    from keras_cam.shards.photo_localizer import PhotoLocalizer

    return PhotoLocalizer(
        args.model,
        {name: value for name, value in localizer_options(args).items() if value is not None},
        args.runtime,
        len(photos),
        read_labels(args.labels),
        args.batch_size,
        range_of(args),
        selection_of(args),
    )


def _check(localize: "PhotoLocalizer") -> None:
    """Open the model here, which also converts it for all, and complain about names that do not fit."""
    with loading(localize.model, localize.runtime, localize.options):
        localizer = localize.open()
    names = class_names(localizer.classes, localize.labels, localizer.labels)
    localize.selection.check_names(names)
