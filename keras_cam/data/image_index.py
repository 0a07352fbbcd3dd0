"""What all readers share: images and boxes are checked while they are collected; problems are reported."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from keras_cam.check_labels import check_labels
from keras_cam.data.annotated_images import (
    AnnotatedImage,
    AnnotatedImages,
    AnnotationError,
    AnnotationProblem,
    LazyImage,
    Polygons,
    ProblemKind,
    StoredImage,
    describe_problems,
)
from keras_cam.images.files import MAX_PIXELS, upright_size_wh

# Annotation tools disagree by up to a pixel about where an image ends. Clipping that much is no problem.
_TOLERANCE = 1.0


@dataclass(frozen=True, slots=True)
class RawBox:
    """An annotation of one object, not yet checked.

    Attributes:
        item: its id or line in the annotations, for reports.
        xyxy: xmin, ymin, xmax, ymax in pixels with half-open maxima; None for a label without a box.
        label: the index of its class, from 0.
        outline: the polygons of its object, if they are known.
    """

    item: str
    xyxy: tuple[float, float, float, float] | None
    label: int
    outline: Polygons = ()


class ImageIndex:
    """Collects the images of one data set.

    Args:
        source: where the data set is read from, for reports.
    """

    def __init__(self, source: str):
        self._source = source
        self._images: dict[str, AnnotatedImage] = {}
        self._problems: list[AnnotationProblem] = []

    def report(self, kind: ProblemKind, file: str, item: str = "", detail: str = "") -> None:
        """Adds a problem, see `AnnotationProblem`."""
        self._problems.append(AnnotationProblem(kind, file, item, " ".join(detail.split())))

    def is_new(self, seen: Iterable[object], key: object, file: str, item: str) -> bool:
        """Returns whether `key` is not in `seen`; if it is, reports a duplicate."""
        if key in seen:
            self.report(ProblemKind.DUPLICATE_ID, file, item)
            return False
        return True

    def add(
        self,
        name: str,
        image: str | StoredImage | LazyImage,
        file: str,
        label: int | None,
        boxes: Sequence[RawBox] = (),
        size_wh: tuple[int, int] | None = None,
        root: str | Path | None = None,
    ) -> None:
        """Adds an image, or reports why it cannot be used.

        Args:
            name: its id.
            image: its path, or an object that reads it.
            file: the file with its annotations, for reports.
            label: its class; None takes that of the first box.
            boxes: its annotations.
            size_wh: its width and height. If None, or more than `MAX_PIXELS`, they are read from the file's
                header where boxes need them.
            root: the folder below which the path must lead; None allows any.
        """
        item = f"image {name}"
        if not self.is_new(self._images, name, file, item):
            return
        if root is not None and isinstance(image, str) and not is_below(image, str(root)):
            self.report(ProblemKind.OUTSIDE_FOLDER, file, item, image)
            return
        if isinstance(image, str) and not os.path.isfile(image):
            self.report(ProblemKind.MISSING_FILE, file, item, image)
            return
        labels = tuple(dict.fromkeys([box.label for box in boxes] if label is None else [label]))
        if not labels:
            self.report(ProblemKind.NO_LABEL, file, item)
            return
        if size_wh is not None and math.prod(size_wh) > MAX_PIXELS:
            self.report(ProblemKind.UNREADABLE_ANNOTATION, file, item, "no image has the size that is stated")
            size_wh = None
        if size_wh is None and boxes and isinstance(image, str):
            size_wh = self._size_in_file(image)
            if size_wh is None:
                return
        kept = [(box, xyxy) for box in boxes if (xyxy := self._checked(box, file, name, size_wh)) is not None]
        self._images[name] = AnnotatedImage(
            name,
            image,
            labels[0],
            tuple(dict.fromkeys([*labels, *(box.label for box in boxes)])),
            np.array([xyxy for _, xyxy in kept], np.float32).reshape(-1, 4),
            np.array([box.label for box, _ in kept], np.int64),
            size_wh,
            tuple(box.outline for box, _ in kept) if any(box.outline for box, _ in kept) else (),
        )

    def finish(self, class_names: Iterable[str], strict: bool) -> AnnotatedImages:
        """Returns the data set.

        Args:
            class_names: the names of all classes.
            strict: whether any problem is an error.

        Raises:
            AnnotationError: if there is no usable image, the name of a class is empty or has a line break, or
                there are problems and `strict` is set.
        """
        names = tuple(class_names)
        try:
            check_labels(names, "names of classes", unique=False)
        except ValueError as error:
            raise AnnotationError(f"{self._source} cannot be used. {error}") from error
        problems = tuple(self._problems)
        if strict and problems:
            raise AnnotationError(f"{self._source} has {describe_problems(problems, one_line=True)}")
        if not self._images:
            found = f" It has {describe_problems(problems, one_line=True)}" if problems else ""
            raise AnnotationError(f"There is no usable image in {self._source}.{found}")
        return AnnotatedImages(self._source, names, tuple(self._images.values()), problems)

    def _size_in_file(self, path: str) -> tuple[int, int] | None:
        """The width and height that `read_image` would give, from the header alone."""
        try:
            with Image.open(path) as image:
                return upright_size_wh(image)
        except Exception as error:  # a decoder raises nearly anything on bytes it does not expect
            self.report(ProblemKind.UNREADABLE_IMAGE, path, "", str(error) or type(error).__name__)
            return None

    def _checked(
        self, box: RawBox, file: str, name: str, size_wh: tuple[int, int] | None
    ) -> np.ndarray | None:
        """The box clipped to the image; None, after a report, if there is none."""
        if box.xyxy is None:
            return None
        x0, y0, x1, y1 = box.xyxy
        # An image that is no file may have no known size; its boxes are then not compared with it.
        width, height = size_wh or (math.inf, math.inf)
        item = f"image {name}, {box.item}"
        detail = f"x {x0:g} to {x1:g}, y {y0:g} to {y1:g} of {width} x {height} pixels"
        inside = np.clip(box.xyxy, 0, (width, height) * 2)
        if not all(map(math.isfinite, box.xyxy)):
            kind = ProblemKind.UNREADABLE_ANNOTATION
        elif x1 <= x0 or y1 <= y0:
            kind = ProblemKind.EMPTY_BOX
        elif x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            kind = ProblemKind.BOX_OUTSIDE
        elif np.any(np.float32(inside[2:]) <= np.float32(inside[:2])):  # float32 rounds a sliver to nothing
            kind = ProblemKind.EMPTY_BOX
        else:
            if max(-x0, -y0, x1 - width, y1 - height) > _TOLERANCE:
                self.report(ProblemKind.BOX_CLIPPED, file, item, detail)
            return inside
        self.report(kind, file, item, detail)
        return None


def is_below(path: str, folder: str) -> bool:
    """Whether a path stays in a folder by its words; links in it are followed."""
    inside = os.path.relpath(path, folder or os.curdir)
    return inside != os.pardir and not inside.startswith(os.pardir + os.sep)
