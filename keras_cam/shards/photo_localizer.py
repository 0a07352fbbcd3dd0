"""What localizes the photos of shards, in whatever process they run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from keras_cam.annotations.selection import Selection
from keras_cam.inference.files import localize_each
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.records import FailedImage, Localization
from keras_cam.inference.runtimes import AUTO, load_fastest


@dataclass(frozen=True)
class PhotoLocalizer:
    """From names of photos to results. It is sent to other processes, and opens its model there, once.

    Attributes:
        model: what `keras_cam.inference.runtimes.load_fastest` takes, a name or a file.
        options: its options.
        runtime: what computes, see there.
        photos: how many photos there are in all shards.
        labels: the names of the classes, or None.
        batch_size: how many photos go through the model at once.
        value_range: see `keras_cam.localize_files`.
        selection: which detections are kept.
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    runtime: str = AUTO
    photos: int = 1
    labels: Sequence[str] | None = None
    batch_size: int = 8
    value_range: tuple[float, float] | None = None
    selection: Selection = field(default_factory=Selection)

    def __call__(self, images: Sequence[str]) -> Iterator[Localization | FailedImage]:
        """A result for each name, in order."""
        photos = [(name, name) for name in images]
        results = localize_each(
            self.open(), photos, self.labels, self.model, self.batch_size, self.value_range
        )
        for result in results:
            yield self.selection(result) if isinstance(result, Localization) else result

    def open(self) -> Localizer:
        """The localizer, which stays open in this process."""
        return _open(self.model, self.runtime, self.photos, tuple(sorted(self.options.items())))


@lru_cache(maxsize=1)
def _open(model: str, runtime: str, photos: int, options: tuple[tuple[str, Any], ...]) -> Localizer:
    return load_fastest(model, runtime, photos, **dict(options))
