"""`keras-cam localize`: classes, maps and boxes of photos."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.annotations.formats import ANNOTATION_FORMATS
from keras_cam.cli.console import LocalizationTable, complain, picture_paths, progress, say
from keras_cam.cli.loading import check_model, load_model, read_labels
from keras_cam.cli.localize_videos import localize_videos
from keras_cam.cli.options import (
    ANY_MODEL,
    DEFAULT_OUTPUT,
    add_batch_size,
    add_labels,
    add_model,
    add_photos,
    add_range,
    add_refine,
    add_runtime,
    add_selection,
    add_threshold,
    add_top_k,
    add_window,
    fraction,
    localizer_options,
    positive,
    range_of,
    window_of,
)
from keras_cam.cli.parts import add_parts, refuse_without_parts, run_parts
from keras_cam.cli.photo_paths import photo_names, photos_at
from keras_cam.cli.results import Results, annotations_of, make_folder, open_results
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError
from keras_cam.images.files import PICTURE_FORMATS, ImageError
from keras_cam.images.map_ahead import map_ahead
from keras_cam.images.processors import usable_processors
from keras_cam.images.sources import own_name
from keras_cam.images.video_files import VIDEO_SUFFIXES
from keras_cam.inference.methods import METHODS, methods_help
from keras_cam.inference.records import FailedImage, Localization
from keras_cam.recipes import DEFAULT_GRADIENT_METHOD, DEFAULT_OVERLAP

if TYPE_CHECKING:
    from keras_cam.inference import Localizer


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser("localize", help="find what is in photos, and where")
    parser.set_defaults(run=run)
    add_photos(
        parser,
        "image files; a folder stands for all images below it, @FILE for the names in a list; archives "
        f"(.tar, .tfrecord, .parquet) and URLs; videos ({', '.join(VIDEO_SUFFIXES)})",
    )
    add_model(parser, ANY_MODEL)
    add_top_k(parser)
    add_selection(parser)
    add_labels(parser)
    _add_boxes(parser.add_argument_group("maps and boxes"))
    _add_results(parser.add_argument_group("results"))
    _add_pixels(parser.add_argument_group("pixels, large pictures, videos"))
    speed = parser.add_argument_group("speed")
    add_batch_size(speed, default=8)
    add_runtime(speed)
    add_parts(parser)


def _add_boxes(group: Any) -> None:
    methods = {name: method for name, method in METHODS.items() if method.is_in_the_graph}
    group.add_argument(
        "--method",
        choices=methods,
        metavar="NAME",
        help=f"how maps are made. {methods_help(methods)} (default: cam, or {DEFAULT_GRADIENT_METHOD} where "
        "no map is exact)",
    )
    add_refine(group)
    add_threshold(group)


def _add_results(group: Any) -> None:
    group.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help=f"folder for the pictures (default: {DEFAULT_OUTPUT}/); with --format, the file or new folder",
    )
    group.add_argument(
        "--picture-format",
        choices=PICTURE_FORMATS,
        default="jpeg",
        help="the format of the pictures (default: %(default)s)",
    )
    formats = "; ".join(f"{name}: {row.summary}" for name, row in ANNOTATION_FORMATS.items())
    group.add_argument(
        "--format",
        choices=ANNOTATION_FORMATS,
        help=f"write annotations for other tools to --output in place of pictures. {formats}",
    )
    group.add_argument(
        "--masks", action="store_true", help="masks as well as boxes, in annotations, JSON and pictures"
    )
    group.add_argument("--crops", type=Path, metavar="DIR", help="new folder for a cut-out of each detection")
    group.add_argument(
        "--images-dir",
        type=Path,
        metavar="DIR",
        help="folder that names of photos in annotations are relative to (default: the one --output is in)",
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object for each photo; pictures only with --output",
    )


def _add_pixels(group: Any) -> None:
    add_window(group)
    add_range(group)
    group.add_argument(
        "--tiles",
        type=positive,
        metavar="PIXELS",
        help="for large pictures: tiles of this height and width go through the model, and their maps are "
        "put together (default: whole photos)",
    )
    group.add_argument(
        "--overlap",
        type=fraction,
        metavar="PART",
        help="with --tiles: the smallest fraction of a tile that it shares with the next one "
        f"(default: {DEFAULT_OVERLAP})",
    )
    group.add_argument(
        "--smooth",
        type=fraction,
        default=0.0,
        metavar="PART",
        help="for videos: the weight of the past in scores and maps, such as 0.8 (default: 0, each frame by "
        "itself)",
    )


def run(args: argparse.Namespace) -> int:
    """Localize the photos; returns the exit status."""
    value_range, window = range_of(args), window_of(args)
    if value_range and window:
        raise UsageError("--range is for models of RGB images, and --window makes one of grey values")
    if args.format and not args.output:
        raise UsageError(f"--format {args.format} needs --output, the file or folder to write")
    if args.overlap is not None and not args.tiles:
        raise UsageError("--overlap goes with --tiles, the size of the tiles that overlap")
    if args.parts:
        return run_parts(args, photo_names(args.photos))
    refuse_without_parts(args)
    if args.format:
        _check_format(args)
    videos = [path for path in args.photos if _is_video(path)]
    if videos and args.tiles:
        raise UsageError(f"--tiles is for photos. Received: {videos[0]}")
    pictures = _pictures_folder(args)
    photos = [path for path in args.photos if path not in videos]
    return _localize(args, [file for path in photos for file in photos_at(path, pictures)], videos, pictures)


def _is_video(path: str | Path) -> bool:
    """Whether an argument is a video; a source is a string."""
    return isinstance(path, Path) and path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def _pictures_folder(args: argparse.Namespace) -> Path | None:
    """The folder for pictures; None if none are drawn."""
    if args.format:
        return None
    return args.output or (None if args.json or args.crops else DEFAULT_OUTPUT)


def _check_format(args: argparse.Namespace) -> None:
    """Complain about what the format cannot do before a model is loaded."""
    from keras_cam.annotations.export import check_annotation_format

    try:
        check_annotation_format(args.output, args.format, args.masks)
    except ValueError as error:
        raise UsageError(f"--format {args.format} --output {args.output}: {error}") from error


def _localize(
    args: argparse.Namespace, files: Sequence[str | Path], videos: Sequence[Path], pictures: Path | None
) -> int:
    """Localize photos and videos, print JSON or a table, and write pictures and annotations."""
    labels = read_labels(args.labels)
    check_model(args.model)
    if pictures:
        make_folder(pictures)
    localizer = _load(args, labels, len(files))
    if videos and localizer.channels not in (1, 3):
        raise UsageError(f"Videos have 1 or 3 channels, and the model takes {localizer.channels}")
    with open_results(args, labels or localizer.class_names) as results:
        table, done = _localize_photos(args, localizer, labels, files, pictures, results)
        seen = _localize_videos(args, localizer, labels, videos, pictures, results) if videos else []
    if not args.json:
        if files or not videos:
            _summarize(table, done, pictures, annotations_of(args))
        if seen:
            say(*seen)
    return DONE if done + len(seen) == len(files) + len(videos) else SOME_FAILED


def _load(args: argparse.Namespace, labels: Sequence[str] | None, photos: int) -> "Localizer":
    localizer = load_model(args.model, runtime=args.runtime, photos=photos, **localizer_options(args))
    if labels is not None and len(labels) != localizer.classes:
        raise UsageError(
            f"--labels must name the {localizer.classes} classes of the model. "
            f"Received: {args.labels} with {len(labels)} names"
        )
    return localizer


def _localize_photos(
    args: argparse.Namespace,
    localizer: "Localizer",
    labels: Sequence[str] | None,
    files: Sequence[str | Path],
    pictures: Path | None,
    results: Results,
) -> tuple[LocalizationTable, int]:
    """The table of what is in photos, empty if another output was asked for; and how many succeeded."""
    from keras_cam.inference.files import localize_files

    overlap = DEFAULT_OVERLAP if args.overlap is None else args.overlap
    found = localize_files(
        localizer,
        files,
        labels,
        args.model,
        args.batch_size,
        range_of(args),
        tiles=args.tiles,
        overlap=overlap,
    )
    names, suffix = [Path(own_name(str(file))) for file in files], PICTURE_FORMATS[args.picture_format][0]
    pairs = zip(_drawn_paths(names, pictures, suffix), found, strict=True)
    processors = usable_processors()
    table, done = LocalizationTable(), 0
    with progress(len(files)) as advance:
        for record in map_ahead(partial(_draw, results), pairs, processors, 2 * processors):
            if not isinstance(record, Localization):
                complain(record.error)
            elif _write(record, results):
                done += 1
                if not args.json and not results.writers:
                    table.add(record)
            advance()
    return table, done


def _localize_videos(
    args: argparse.Namespace,
    localizer: "Localizer",
    labels: Sequence[str] | None,
    videos: Sequence[Path],
    pictures: Path | None,
    results: Results,
) -> list[str]:
    """A line about each video that could be read."""
    from keras_cam.inference.video import localize_video

    find = partial(
        localize_video,
        localizer,
        labels=labels,
        model_name=args.model,
        batch_size=args.batch_size,
        smooth=args.smooth,
    )
    return localize_videos(find, videos, _drawn_paths(videos, pictures, ".mp4"), results)


def _drawn_paths(files: Sequence[Path], folder: Path | None, suffix: str) -> Sequence[Path | None]:
    """The file of each picture or drawn video; None if there is no folder for them."""
    return picture_paths(files, folder, suffix) if folder else [None] * len(files)


def _draw(
    results: Results, pair: tuple[Path | None, Localization | FailedImage]
) -> Localization | FailedImage:
    """Write the picture of a photo, if it has one; returns the selected detections, or what went wrong."""
    picture, result = pair
    if isinstance(result, FailedImage):
        return result
    record = results.selection(result)
    # Of tiles, a class may have several objects.
    best = [found for found in record.boxed if found.class_id == record.detections[0].class_id]
    try:
        if picture is not None:
            drawn = replace(record, detections=tuple(best) or record.detections)
            drawn.save(picture, max(1, len(best)), results.masks)
    except ImageError as error:
        return FailedImage(record.image, str(error))
    except OSError as error:
        return FailedImage(record.image, f"Cannot write {picture}: {error.strerror}")
    return record


def _write(record: Localization, results: Results) -> bool:
    """Write what was found in a photo; returns whether that succeeded."""
    try:
        results.write(record)
    except ImageError as error:
        complain(str(error))
        return False
    return True


def _summarize(
    table: LocalizationTable, done: int, output: Path | None, annotations: Sequence[tuple[str, Path]]
) -> None:
    """Print the table, and what was written where."""
    if not annotations:
        table.print()
    for name, path in annotations:
        say(f"{name}, {done} photos: {path}")
    if done and output:
        say(f"Pictures: {output}{os.sep}")
