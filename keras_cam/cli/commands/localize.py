"""`keras-cam localize`: classes, maps and boxes of photos."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from keras_cam.annotations.formats import ANNOTATION_FORMATS
from keras_cam.annotations.selection import Selection
from keras_cam.cli.console import LocalizationTable, complain, picture_paths, print_json, progress, say
from keras_cam.cli.parts import add_parts, run_parts
from keras_cam.cli.quiet_libraries import quiet_c_libraries
from keras_cam.cli.usage import (
    DEFAULT_MODEL,
    DEFAULT_OUTPUT,
    DONE,
    SOME_FAILED,
    UsageError,
    add_any_model,
    add_batch_size,
    add_labels,
    add_photos,
    add_range,
    add_refine,
    add_runtime,
    add_selection,
    add_threshold,
    add_top_k,
    add_window,
    check_model,
    fraction,
    load_model,
    positive,
    range_of,
    read_labels,
    selection_of,
    window_of,
)
from keras_cam.images.files import PICTURE_FORMATS, ImageError, find_images, find_photos
from keras_cam.images.map_ahead import map_ahead
from keras_cam.images.photo_list import read_photo_list
from keras_cam.images.processors import usable_processors
from keras_cam.images.sources import own_name, source_of
from keras_cam.images.video_files import VIDEO_SUFFIXES
from keras_cam.inference.methods import METHODS, methods_help
from keras_cam.inference.records import FailedImage, Localization
from keras_cam.inference.runtimes import AUTO
from keras_cam.recipes import DEFAULT_GRADIENT_METHOD, DEFAULT_OVERLAP

if TYPE_CHECKING:
    from keras_cam.inference import VideoFrame

_Writers = Sequence[Callable[[Localization], None]]


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser("localize", help="find what is in photos, and where")
    parser.set_defaults(run=run)
    add_photos(
        parser,
        "image files; a folder stands for all images below it, @FILE for the names in a list; archives "
        f"(.tar, .tfrecord, .parquet) and URLs; videos ({', '.join(VIDEO_SUFFIXES)})",
    )
    add_any_model(parser)
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
    value_range = range_of(args)
    if value_range and args.window:
        raise UsageError("--range is for models of RGB images, and --window makes one of grey values")
    if args.format and not args.output:
        raise UsageError(f"--format {args.format} needs --output, the file or folder to write")
    if args.parts:
        return run_parts(args, _names(args.photos))
    if args.overlap is not None and not args.tiles:
        raise UsageError("--overlap goes with --tiles, the size of the tiles that overlap")
    pictures = args.output or (None if args.json or args.crops else DEFAULT_OUTPUT)
    if args.format:
        pictures = None
        _check_format(args)
    videos = [
        path for path in map(Path, args.photos) if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()
    ]
    if videos and args.tiles:
        raise UsageError(f"--tiles is for photos. Received: {videos[0]}")
    photos = [path for path in args.photos if path not in videos]
    return localize_photos(
        [file for path in photos for file in _photos(path, pictures)],
        pictures,
        videos=videos,
        smooth=args.smooth,
        model=args.model,
        top_k=args.top_k,
        threshold=args.threshold,
        refine=args.refine,
        method=args.method,
        window=window_of(args),
        labels_file=args.labels,
        batch_size=args.batch_size,
        value_range=value_range,
        tiles=args.tiles,
        overlap=DEFAULT_OVERLAP if args.overlap is None else args.overlap,
        as_json=args.json,
        selection=selection_of(args),
        masks=args.masks,
        annotations=tuple(_annotations(args)),
        images_dir=args.images_dir,
        runtime=args.runtime,
        picture_format=args.picture_format,
    )


def _annotations(args: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """The formats and places of what is written besides pictures."""
    if args.format:
        yield args.format, args.output
    if args.crops:
        yield "crops", args.crops


def _check_format(args: argparse.Namespace) -> None:
    """Complain about what the format cannot do before a model is loaded."""
    from keras_cam.annotations.export import check_annotation_format

    try:
        check_annotation_format(args.output, args.format, args.masks)
    except ValueError as error:
        raise UsageError(f"--format {args.format} --output {args.output}: {error}") from error


def localize_photos(
    files: Sequence[str | Path],
    output: Path | None,
    *,
    videos: Sequence[Path] = (),
    smooth: float = 0.0,
    model: str = DEFAULT_MODEL,
    top_k: int | None = None,
    threshold: float | None = None,
    refine: str | None = None,
    method: str | None = None,
    window: Sequence[float] | None = None,
    labels_file: Path | None = None,
    batch_size: int = 8,
    value_range: tuple[float, float] | None = None,
    tiles: int | None = None,
    overlap: float = DEFAULT_OVERLAP,
    as_json: bool = False,
    selection: Selection = Selection(),  # noqa: B008  (frozen)
    masks: bool = False,
    annotations: Sequence[tuple[str, Path]] = (),
    images_dir: Path | None = None,
    runtime: str = AUTO,
    picture_format: str = "jpeg",
) -> int:
    """Localize photos and videos, print JSON or a table, and write pictures and annotations."""
    labels = read_labels(labels_file)
    check_model(model)
    pictures: Sequence[Path | None] = [None] * len(files)
    drawn_videos: Sequence[Path | None] = [None] * len(videos)
    if output:
        _make_folder(output)
        pictures = picture_paths(
            [Path(own_name(str(file))) for file in files], output, PICTURE_FORMATS[picture_format][0]
        )
        drawn_videos = picture_paths(videos, output, ".mp4")
    localizer = load_model(
        model, top_k, threshold, refine, method, window, runtime=runtime, photos=len(files)
    )
    if labels is not None and len(labels) != localizer.classes:
        raise UsageError(
            f"--labels must name the {localizer.classes} classes of the model. "
            f"Received: {labels_file} with {len(labels)} names"
        )
    if videos and localizer.channels not in (1, 3):
        raise UsageError(f"Videos have 1 or 3 channels, and the model takes {localizer.channels}")
    from keras_cam.inference.files import localize_files

    names = labels or localizer.class_names
    _check_names(selection, names)
    results = localize_files(
        localizer, files, labels, model, batch_size, value_range, tiles=tiles, overlap=overlap
    )
    draw, processors = partial(_draw, selection, masks), usable_processors()
    drawn = map_ahead(draw, zip(pictures, results, strict=True), processors, 2 * processors)
    table, done = LocalizationTable(), 0
    seen_videos: list[str] = []
    with _writers(annotations, selection, names, masks, images_dir) as writers:
        with progress(len(files)) as advance:
            for record in drawn:
                if not isinstance(record, Localization):
                    complain(record.error)
                elif _write(record, writers):
                    done += 1
                    if as_json:
                        print_json(record.to_dict(masks))
                    elif not annotations:
                        table.add(record)
                advance()
        for video, drawn_video in zip(videos, drawn_videos, strict=True):
            from keras_cam.inference.video import localize_video

            find = partial(localize_video, localizer, video, labels, model, batch_size, smooth=smooth)
            seen_videos += _localize_video(find, video, drawn_video, selection, writers, masks, as_json)
    if not as_json:
        if files or not videos:
            _summarize(table, done, output, annotations)
        if seen_videos:
            say(*seen_videos)
    return DONE if done + len(seen_videos) == len(files) + len(videos) else SOME_FAILED


def _localize_video(
    find: "Callable[[], Iterator[VideoFrame]]",
    video: Path,
    drawn: Path | None,
    selection: Selection,
    writers: _Writers,
    masks: bool,
    as_json: bool,
) -> Sequence[str]:
    """Localize a video frame by frame; returns a line about it, or none if it failed."""
    import numpy as np

    from keras_cam.drawing import draw_localization
    from keras_cam.images.video_files import VideoReader, video_writer

    start, frames = monotonic(), 0
    with quiet_c_libraries():  # FFmpeg writes to stderr what it dislikes
        try:
            facts = VideoReader(video)
            with (
                video_writer(drawn, facts.fps) if drawn else nullcontext() as draw,
                progress(facts.frames, f"Localizing {video.name}") as advance,
            ):
                for found in find():
                    record = selection(found)
                    if draw:
                        draw(draw_localization(np.asarray(record.pixels), record, masks=masks))
                    for write in writers:
                        write(record)
                    if as_json:
                        print_json(record.to_dict(masks))
                    frames += 1
                    advance()
        except ImageError as error:
            complain(str(error))
            return []
    speed = frames / (monotonic() - start)
    return [f"{video}: {frames} frames, {speed:.1f} a second{f': {drawn}' if drawn else ''}"]


def _check_names(selection: Selection, names: Sequence[str]) -> None:
    try:
        selection.check_names(names)
    except ValueError as error:
        raise UsageError(f"--classes, --min-score: {error}") from error


@contextmanager
def _writers(
    annotations: Sequence[tuple[str, Path]],
    selection: Selection,
    names: Sequence[str],
    masks: bool,
    images_dir: Path | None,
) -> Iterator[_Writers]:
    """The functions that write a record in each of the formats."""
    with ExitStack() as stack:
        try:
            yield [
                stack.enter_context(_writer(name, path, selection, names, masks, images_dir))
                for name, path in annotations
            ]
            stack.close()
        except (ValueError, OSError, ModuleNotFoundError) as error:
            if not annotations or isinstance(error, BrokenPipeError):
                raise
            places = ", ".join(str(path) for _, path in annotations)
            raise UsageError(f"Cannot write {places}: {error}") from error


def _writer(
    name: str, path: Path, selection: Selection, names: Sequence[str], masks: bool, images_dir: Path | None
) -> Any:
    from keras_cam.annotations.export import annotation_writer

    _make_folder(path.parent)
    masks = masks and ANNOTATION_FORMATS[name].has_masks
    classes: Any = selection.classes
    return annotation_writer(
        path, name, class_names=names, classes=classes, masks=masks, images_dir=images_dir
    )


def _write(record: Localization, writers: _Writers) -> bool:
    """Write the annotations of a photo; returns whether that succeeded."""
    try:
        for write in writers:
            write(record)
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


def _names(paths: Sequence[str | Path]) -> list[str]:
    """The names of all photos, each once."""
    return list(dict.fromkeys(str(file) for path in paths for file in _photos(path, None)))


def _photos(path: str | Path, output: Path | None) -> Sequence[str | Path]:
    """Find the image files of a path or source, or read the names in a list."""
    if isinstance(path, str):
        return _find(path)
    if str(path).startswith("@") and not path.exists():
        try:
            return [photo for name in read_photo_list(str(path)[1:]) for photo in _listed(name)]
        except OSError as error:
            raise UsageError(f"{path} must be a list of photos. Received: {error.strerror}") from error
    files = find_images([path])
    # `keras-cam localize .` must skip the pictures that its last run wrote.
    if output and path.resolve() in output.resolve().parents:
        return [file for file in files if output.resolve() not in file.resolve().parents] or [path]
    return files


def _listed(name: str) -> Sequence[str | Path]:
    return _find(name) if source_of(name) else [Path(name)]


def _find(source: str) -> Sequence[str]:
    try:
        return find_photos(source)
    except ImportError as error:
        raise UsageError(str(error)) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--output must be a folder that can be written. Received: {folder} ({error.strerror})"
        ) from error


def _draw(
    selection: Selection, masks: bool, pair: tuple[Path | None, Localization | FailedImage]
) -> Localization | FailedImage:
    """Write the picture of a photo, if it has one; returns the selected detections, or what went wrong."""
    picture, result = pair
    if isinstance(result, FailedImage):
        return result
    record = selection(result)
    # Of tiles, a class may have several objects.
    best = [found for found in record.boxed if found.class_id == record.detections[0].class_id]
    try:
        if picture is not None:
            drawn = replace(record, detections=tuple(best) or record.detections)
            drawn.save(picture, max(1, len(best)), masks)
    except ImageError as error:
        return FailedImage(record.image, str(error))
    except OSError as error:
        return FailedImage(record.image, f"Cannot write {picture}: {error.strerror}")
    return record
