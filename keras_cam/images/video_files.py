"""Reading and writing video files frame by frame, so that memory does not grow with their length.

OpenCV is imported where it is used: the help of the command line imports this package.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.images.files import ImageError
from keras_cam.images.whole_file import whole_file

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")

DEFAULT_FPS = 25.0
"""Frames a second of a video that does not say it."""

# Headers of some formats count a frame too many.
_MISSING = 0.98


class VideoReader:
    """The frames of a video, upright.

    Args:
        path: a file that OpenCV's FFmpeg reads.

    Attributes:
        fps: frames a second.
        frames: the number of frames, as the file says; 0 if it does not.

    Raises:
        ImageError: it is not a video.
    """

    def __init__(self, path: str | Path) -> None:
        import cv2

        self._path = path
        if not Path(path).is_file():
            raise ImageError(path, "no such file")
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise ImageError(path, "not a video")
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or DEFAULT_FPS
        self.frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames, uint8 (H, W, 3), RGB; once.

        Raises:
            ImageError: the video has no frame, or fewer than it says.
        """
        import cv2

        count = 0
        try:
            while (frame := self._capture.read()[1]) is not None:
                count += 1
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            self._capture.release()
        if not count:
            raise ImageError(self._path, "no frame of the video can be read")
        if count < _MISSING * self.frames - 1:
            raise ImageError(self._path, f"the video ends after {count} of {self.frames} frames")


@contextmanager
def video_writer(path: str | Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an MP4 file (MPEG-4 part 2, without sound), which appears whole or not at all.

    Args:
        path: the file to write or to replace, `.mp4`.
        fps: frames a second.

    Yields:
        A function that writes a frame, uint8 (H, W, 3), RGB; all of the same size.

    Raises:
        OSError: the file cannot be written.
    """
    import cv2

    writer: Any = None
    with whole_file(path) as unfinished:

        def write(frame: np.ndarray) -> None:
            nonlocal writer
            height, width = frame.shape[:2]
            even = frame[: height - height % 2, : width - width % 2]  # the codec takes no others
            if writer is None:
                code = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(unfinished), cv2.CAP_FFMPEG, code, fps, even.shape[1::-1])
                if not writer.isOpened():
                    raise OSError(f"OpenCV cannot write MP4 of {width} x {height} pixels here")
            writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))

        try:
            yield write
        finally:
            if writer is not None:
                writer.release()
