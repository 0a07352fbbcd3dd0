"""Videos: a record for each frame, with maps that can be smoothed over time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.check_finite import check_finite
from keras_cam.images.resize import resize
from keras_cam.images.video_files import VideoReader
from keras_cam.inference.evidence_maps import component_boxes, evidence_maps
from keras_cam.inference.load import load_localizer
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.probe import probe
from keras_cam.inference.records import Detection, Localization, localizations
from keras_cam.models.labels import class_names

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class VideoFrame(Localization):
    """The classes found in one frame of a video, see `Localization`.

    Attributes:
        image: the name of the frame, such as "clip-000012.png"; `ffmpeg -i clip.mp4 -start_number 0
            clip-%06d.png` writes files of these names.
        video: the file.
        frame: the number of the frame, from 0.
        seconds: the time of the frame, its number over the frames a second.
    """

    video: str = ""
    frame: int = 0
    seconds: float = 0.0

    def to_dict(self, masks: bool = False) -> dict[str, Any]:
        """The record as JSON-ready values, with `video`, `frame` and `seconds`."""
        place = {"video": self.video, "frame": self.frame, "seconds": round(self.seconds, 3)}
        return {**super().to_dict(masks), **place}


def localize_video(
    localizer: "Localizer | keras.Model | str | Path",
    path: str | Path,
    labels: Sequence[str] | None = None,
    model_name: str = "",
    batch_size: int = 8,
    *,
    smooth: float = 0.0,
) -> Iterator[VideoFrame]:
    """Localize what is in the frames of a video; only a batch of them is in memory.

    Args:
        localizer: what `keras_cam.load_localizer` takes, for images of 1 or 3 channels.
        path: a file that OpenCV reads, such as MP4, AVI, MOV, MKV or WebM.
        labels: see `keras_cam.localize_files`.
        model_name: the name of the model, for the records.
        batch_size: how many frames go through the model at once.
        smooth: in [0, 1), the weight of the past: logits and maps, in units of the logit, become `smooth *
            past + (1 - smooth) * frame`. 0: frames by themselves. A class that was not among the best ones in
            the frame before begins anew with its map. Smoothing takes two passes of the network.

    Returns:
        An iterator over records, whose `pixels` are the frame.

    Raises:
        ImageError: the file is not a video; or, at the end, it has fewer frames than it says.
        ValueError: an argument is not as described above.
    """
    loaded = load_localizer(localizer)
    if not 0 <= smooth < 1:
        raise ValueError(f"`smooth` must be in [0, 1). Received: smooth={smooth!r}")
    if loaded.channels not in (1, 3):
        raise ValueError(
            "`localizer` must take images of 1 or 3 channels, as videos have. "
            f"Received: a localizer of {loaded.channels} channels"
        )
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size!r}")
    names = class_names(loaded.classes, labels, loaded.labels)
    video = VideoReader(path)
    found = _OverTime(loaded, names, smooth) if smooth else _EachFrame(loaded, names)
    return _frames(video, Path(path), loaded, found, model_name, batch_size)


_Found = Iterator[tuple[Detection, ...]]


def _frames(
    video: VideoReader,
    path: Path,
    localizer: Localizer,
    find: Callable[[np.ndarray, tuple[int, int]], _Found],
    model: str,
    batch_size: int,
) -> Iterator[VideoFrame]:
    frames, numbers = iter(video), count()
    while batch := list(islice(frames, batch_size)):
        height, width = batch[0].shape[:2]
        taken = [_as_taken(frame, localizer.channels) for frame in batch]
        images = np.stack([resize(frame, localizer.size_hw) for frame in taken])
        for frame, detections in zip(batch, find(images, (width, height)), strict=True):
            number = next(numbers)
            yield VideoFrame(
                image=str(path.with_name(f"{path.stem}-{number:06d}.png")),
                width=width,
                height=height,
                model=model,
                detections=detections,
                pixels=frame,
                map_kind=localizer.map_kind,
                map_method=localizer.map_method,
                runtime=localizer.runtime,
                video=str(path),
                frame=number,
                seconds=number / video.fps,
            )


def _as_taken(frame: np.ndarray, channels: int) -> np.ndarray:
    import cv2

    return frame if channels == 3 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]


class _EachFrame:
    """Finds what is in frames, each by itself."""

    def __init__(self, localizer: Localizer, names: Sequence[str]) -> None:
        self._localizer, self._names = localizer, names

    def __call__(self, images: np.ndarray, size_wh: tuple[int, int]) -> _Found:
        outputs, count = self._localizer.localize(images), len(images)
        threshold = self._localizer.threshold
        records = localizations(outputs, [""] * count, [size_wh] * count, self._names, threshold=threshold)
        return (record.detections for record in records)


class _OverTime:
    """Finds what is in consecutive frames by exponential means of their logits and maps."""

    def __init__(self, localizer: Localizer, names: Sequence[str], smooth: float) -> None:
        self._localizer, self._names, self._smooth = localizer, names, smooth
        self._facts = probe(localizer)
        self._logits: np.ndarray | None = None
        self._maps: dict[int, np.ndarray] = {}

    def __call__(self, images: np.ndarray, size_wh: tuple[int, int]) -> _Found:
        logits = np.array([self._next_logits(row) for row in self._localizer.classify(images)])
        class_ids = np.argsort(-logits, axis=1, kind="stable")[:, : self._facts.top_k].astype(np.int32)
        maps = evidence_maps(self._localizer.cam(images, class_ids))
        check_finite({"logits": logits, "maps": maps})
        probabilities = self._facts.probabilities(logits)
        for of_frame, scores, now in zip(class_ids, probabilities, maps, strict=True):
            pairs = zip(of_frame.tolist(), now, strict=True)
            self._maps = {one: self._mean(self._maps.get(one), new) for one, new in pairs}
            yield tuple(
                self._detection(one, scores[one], smoothed, size_wh) for one, smoothed in self._maps.items()
            )

    def _next_logits(self, now: np.ndarray) -> np.ndarray:
        self._logits = self._mean(self._logits, now)
        return self._logits

    def _mean(self, past: np.ndarray | None, now: np.ndarray) -> np.ndarray:
        return now if past is None else self._smooth * past + (1 - self._smooth) * now

    def _detection(
        self, class_id: int, score: float, activation_map: np.ndarray, size_wh: tuple[int, int]
    ) -> Detection:
        threshold = self._facts.threshold
        boxes = component_boxes(activation_map, size_wh, threshold, max_boxes=1)
        box: Any = tuple(boxes[0].tolist()) if len(boxes) else None
        return Detection(class_id, self._names[class_id], float(score), box, activation_map, threshold)
