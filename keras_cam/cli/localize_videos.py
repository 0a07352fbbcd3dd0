"""Videos of `keras-cam localize`: records of all frames, and a video with their maps and boxes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from keras_cam.cli.console import complain, progress
from keras_cam.cli.quiet_libraries import quiet_c_libraries
from keras_cam.cli.results import Results
from keras_cam.images.files import ImageError

if TYPE_CHECKING:
    from keras_cam.inference import VideoFrame


def localize_videos(
    find: "Callable[[Path], Iterator[VideoFrame]]",
    videos: Sequence[Path],
    drawn: Sequence[Path | None],
    results: Results,
) -> list[str]:
    """Localize videos frame by frame.

    Args:
        find: from a video to the records of its frames.
        videos: the files.
        drawn: for each, the `.mp4` file to draw, or None.
        results: where records go.

    Returns:
        A line for people about each video that could be read; errors of others are on stderr.
    """
    lines = (_localize_video(find, *pair, results) for pair in zip(videos, drawn, strict=True))
    return [line for line in lines if line]


def _localize_video(
    find: "Callable[[Path], Iterator[VideoFrame]]", video: Path, drawn: Path | None, results: Results
) -> str:
    """A line about the video; empty if it failed."""
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
                for found in find(video):
                    record = results.selection(found)
                    if draw:
                        pixels = np.asarray(record.pixels)
                        draw(draw_localization(pixels, record, masks=results.masks))
                    results.write(record)
                    frames += 1
                    advance()
        except ImageError as error:
            complain(str(error))
            return ""
    speed = frames / (monotonic() - start)
    return f"{video}: {frames} frames, {speed:.1f} a second{f': {drawn}' if drawn else ''}"
