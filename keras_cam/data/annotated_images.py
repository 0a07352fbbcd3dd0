"""Annotated images as an index in memory: paths, classes and boxes. Pixels are read on demand."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, overload, runtime_checkable

import numpy as np

from keras_cam.images.batches import ImageBatch, read_batches
from keras_cam.images.files import ImageError, ReducedPhoto, decode_image, read_image, read_reduced
from keras_cam.images.sources import reason_of
from keras_cam.plain_text import plain_text


class ProblemKind(str, Enum):
    """The kinds of problems in annotations. The comments say what happens to the image or annotation."""

    MISSING_FILE = "missing file"  # the image is skipped
    UNREADABLE_IMAGE = "unreadable image"  # the image is skipped; only the headers of files are read
    UNREADABLE_ANNOTATION = "unreadable annotation"  # an entry, or an XML file, is skipped
    OUTSIDE_FOLDER = "image outside the folder"  # its path leads elsewhere; the image is skipped
    DUPLICATE_ID = "duplicate id"  # the first one is used
    UNKNOWN_IMAGE = "unknown image"  # an annotation of an image that is not listed; it is skipped
    UNKNOWN_CATEGORY = "unknown category"  # the annotation is skipped
    NO_LABEL = "image without label"  # the image is skipped
    EMPTY_BOX = "empty box"  # also one of negative size; the box is skipped, its label is kept
    BOX_OUTSIDE = "box outside the image"  # the box is skipped, its label is kept
    BOX_CLIPPED = "box partly outside the image"  # by more than a pixel; the box is clipped

    def __str__(self) -> str:
        return self.value


class AnnotationError(ValueError):
    """Annotations cannot be read, have no usable image, or have problems although `strict` is set."""


@dataclass(frozen=True, slots=True)
class AnnotationProblem:
    """One problem in the annotations.

    Attributes:
        kind: the kind of problem.
        file: the annotation file or the image in which it was found.
        item: the id or line of the image or annotation in that file; empty if the whole file is concerned.
        detail: what was found there.
    """

    kind: ProblemKind
    file: str
    item: str
    detail: str

    def __str__(self) -> str:
        where = f"{self.file}, {self.item}" if self.item else self.file
        return plain_text(f"{where}: {self.kind}" + (f" ({self.detail})" if self.detail else ""))


class LazyImage(Protocol):
    """An image whose pixels are computed by each call of `read`, such as a part of another image."""

    def read(self) -> np.ndarray:
        """Returns the pixels, uint8 (H, W, 3), RGB; raises `ImageError` if they cannot be read."""


@runtime_checkable
class StoredImage(Protocol):
    """An image that is stored inside of a larger file, in an image format such as JPEG."""

    @property
    def name(self) -> str:
        """Its name, for errors."""

    def encoded(self) -> bytes:
        """Returns the encoded image; raises `ImageError` if it cannot be read."""


def _no_boxes() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


def _no_box_labels() -> np.ndarray:
    return np.zeros(0, np.int64)


Polygons = tuple[np.ndarray, ...]
"""The outline of one object: polygons, each float32 (n, 2) with the x and y of n >= 3 corners in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """One image with its classes and boxes.

    Attributes:
        name: the id of the image, unique in its data set.
        image: the path of its file; or an object that reads it, a `StoredImage` or a `LazyImage`.
        label: the main class, an index from 0: that of the image or, without one, of its first annotation.
        labels: all its classes without repetition, the main one first.
        boxes_xyxy: float32 (n, 4), xmin, ymin, xmax, ymax in pixels of the image; the maxima are half-open,
            so `xmax - xmin` is the width. (0, 4) without boxes.
        box_labels: int64 (n,), the class of each box.
        size_wh: the width and height to which the boxes refer; None if they are unknown.
        outlines: for each box, the polygons of its object, `()` where there is only the box. Empty if no
            object of the image has polygons.
        value_range: the values of black and white, if the image is grey of more than 8 bits; None: what its
            file states, see `keras_cam.images.files.read_image`.
    """

    name: str
    image: str | StoredImage | LazyImage
    label: int
    labels: tuple[int, ...]
    boxes_xyxy: np.ndarray = field(default_factory=_no_boxes)
    box_labels: np.ndarray = field(default_factory=_no_box_labels)
    size_wh: tuple[int, int] | None = None
    outlines: tuple[Polygons, ...] = ()
    value_range: tuple[float, float] | None = None

    def read(self) -> np.ndarray:
        """Reads the pixels.

        Returns:
            uint8 (H, W, 3), RGB.

        Raises:
            ImageError: if the image cannot be read, or its size is not `size_wh`.
        """
        if isinstance(self.image, str):
            photo = read_image(self.image, value_range=self.value_range)
        elif isinstance(self.image, StoredImage):
            photo = decode_image(self.image.encoded(), self.image.name, value_range=self.value_range)
        else:
            photo = self.image.read()
        self._check_size((photo.shape[1], photo.shape[0]))
        return photo

    def read_reduced(self, size_hw: tuple[int, int]) -> ReducedPhoto:
        """Reads the pixels to be resized to `size_hw`, see `keras_cam.images.files.read_reduced`.

        Raises:
            ImageError: as `read`.
        """
        stored = self.image if isinstance(self.image, str) else self.encoded()
        if stored is None:
            pixels = self.read()
            return ReducedPhoto(pixels, (pixels.shape[1], pixels.shape[0]))
        name = self.image.name if isinstance(self.image, StoredImage) else self.name
        photo = read_reduced(stored, size_hw, value_range=self.value_range, name=name)
        self._check_size(photo.size_wh)
        return photo

    def _check_size(self, found_wh: tuple[int, int]) -> None:
        # For instance a rotated photo whose EXIF orientation the annotation tool ignored.
        if self.size_wh is not None and found_wh != self.size_wh:
            (width, height), (w, h) = found_wh, self.size_wh
            raise ImageError(self.name, f"{width} x {height} pixels, but annotated as {w} x {h}")

    def encoded(self) -> bytes | None:
        """Reads the encoded image; returns None if only its pixels are available.

        Raises:
            ImageError: if it cannot be read.
        """
        if not isinstance(self.image, str):
            return self.image.encoded() if isinstance(self.image, StoredImage) else None
        try:
            return Path(self.image).read_bytes()
        except OSError as error:
            raise ImageError(self.image, reason_of(error)) from error


@dataclass(frozen=True, eq=False)
class AnnotatedImages(Sequence[AnnotatedImage]):
    """A data set: a sequence of `AnnotatedImage`, with the names of the classes.

    Attributes:
        source: where it was read from.
        class_names: the names of all classes, including those without an image.
        images: the images, in the order of the data set.
        problems: what was wrong in the annotations.

    Examples:
        >>> cat = AnnotatedImage("7", "cat.jpg", label=1, labels=(1,))
        >>> pets = AnnotatedImages("pets", ("dog", "cat"), (cat,), ())
        >>> str(pets)
        'pets: 1 image, 2 classes, 0 boxes'
        >>> [pets.class_names[image.label] for image in pets]
        ['cat']
    """

    source: str
    class_names: tuple[str, ...]
    images: tuple[AnnotatedImage, ...]
    problems: tuple[AnnotationProblem, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> AnnotatedImage: ...

    @overload
    def __getitem__(self, index: slice) -> "AnnotatedImages": ...

    def __getitem__(self, index: "int | slice") -> "AnnotatedImage | AnnotatedImages":
        if isinstance(index, slice):
            return AnnotatedImages(self.source, self.class_names, self.images[index], self.problems)
        return self.images[index]

    def __iter__(self) -> Iterator[AnnotatedImage]:
        return iter(self.images)

    def __str__(self) -> str:
        boxes = sum(len(image.boxes_xyxy) for image in self.images)
        parts = [(len(self.images), "image"), (len(self.class_names), "class"), (boxes, "box")]
        text = f"{self.source}: " + ", ".join(_counted(count, noun) for count, noun in parts)
        return f"{text}; {_summary(self.problems)}" if self.problems else text

    def batches(self, size_hw: tuple[int, int], batch_size: int) -> Iterator[ImageBatch]:
        """The pixels of all images in order, see `keras_cam.images.batches.read_batches`."""
        return read_batches(
            lambda index: self.images[index].read_reduced(size_hw), len(self), size_hw, batch_size
        )

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,): the main class of every image."""
        return np.array([image.label for image in self.images], np.int64)

    @property
    def problem_counts(self) -> dict[ProblemKind, int]:
        """The number of problems of each kind, the most frequent kind first."""
        return dict(Counter(problem.kind for problem in self.problems).most_common())


def describe_problems(problems: Sequence[AnnotationProblem], first: int = 5, one_line: bool = False) -> str:
    """Summarizes problems: their number, their kinds, and the first ones in full.

    Args:
        problems: for instance `AnnotatedImages.problems`.
        first: how many of them are listed.
        one_line: whether all of it is one line.

    Returns:
        A line with the counts, followed by one line for each listed problem.

    Examples:
        >>> print(describe_problems([AnnotationProblem(ProblemKind.MISSING_FILE, "cat.jpg", "", "")]))
        1 problem (1 missing file):
          cat.jpg: missing file
    """
    listed = [*map(str, problems[:first]), *["…"] * (len(problems) > first)]
    first_break, line_break = (" ", "; ") if one_line else ("\n  ", "\n  ")
    return f"{_summary(problems)}:{first_break}{line_break.join(listed)}"


def _summary(problems: Iterable[AnnotationProblem]) -> str:
    counts = Counter(problem.kind for problem in problems).most_common()
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts)
    return f"{_counted(sum(count for _, count in counts), 'problem')} ({kinds})"


def _counted(count: int, noun: str) -> str:
    plural = noun + ("es" if noun[-1] in "sx" else "s")
    return f"{count} {noun if count == 1 else plural}"
