"""What was found in one photo, in its own pixels: plain records for people, files and other programs."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.check_finite import check_finite
from keras_cam.inference.masks import coco_rle, object_mask, polygons
from keras_cam.recipes import THRESHOLD, usual_threshold

if TYPE_CHECKING:
    import pandas
    import supervision

BoxXYXY = tuple[float, float, float, float]

FLAT_MAP = "flat map"

_SIDES = ("xmin", "ymin", "xmax", "ymax")
COLUMNS = ("image", "width", "height", "model", "rank", "class_id", "label", "score", *_SIDES)
"""The columns of `Localization.rows`: a row for each detection."""

# A side of a map with fewer cells cannot tell where in a photo something is.
_FEWEST_CELLS = 5


def whole_pixels(box_xyxy: BoxXYXY, size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box rounded to pixels and clipped to the photo, at least one pixel wide and high.

    Examples:
        >>> whole_pixels((0.4, 1.6, 9.5, 1.9), (8, 8))
        (0, 2, 8, 3)
    """
    xmin, ymin = (min(max(round(low), 0), size - 1) for low, size in zip(box_xyxy[:2], size_wh, strict=True))
    xmax, ymax = (min(round(high), size) for high, size in zip(box_xyxy[2:], size_wh, strict=True))
    return xmin, ymin, max(xmax, xmin + 1), max(ymax, ymin + 1)


@dataclass(frozen=True)
class Detection:
    """One class that the classifier sees in a photo, and where.

    Attributes:
        class_id: the class, counted from 0.
        label: its name.
        score: its probability.
        box_xyxy: xmin, ymin, xmax, ymax in pixels of the photo; the maxima are half-open, so `xmax - xmin`
            is the width. None if no position of the map speaks for the class.
        activation_map: float32 (h, w), the map that the box was cut out of: the raw class activation map, or
            the refined one. Not a part of `to_dict()`.
        threshold: the fraction of the map's maximum above which the object is. Not a part of `to_dict()`.
    """

    class_id: int
    label: str
    score: float
    box_xyxy: BoxXYXY | None
    activation_map: np.ndarray = field(repr=False, compare=False)
    threshold: float = field(default=THRESHOLD, repr=False, compare=False)

    @property
    def remark(self) -> str:
        """Why the box says little about the place; empty if there is no reason.

        - "map of one cell": there can be no box, see `keras_cam.build_localizer`.
        - "no box": the map is constant, or positive nowhere.
        - "flat map": all of the map is above 20 % of its maximum, so that a box encloses the whole photo.
        - "map of 3 x 3 cells": the map has fewer than 5 cells a side.

        Examples:
            >>> nearly_flat = 1 - 0.1 * np.eye(7, dtype=np.float32)
            >>> Detection(281, "tabby", 0.9, (0.0, 0.0, 64.0, 48.0), nearly_flat).remark
            'flat map'
        """
        height, width = self.activation_map.shape
        if height == width == 1:
            return "map of one cell"
        if self.box_xyxy is None:
            return "no box"
        if self.activation_map.min() > THRESHOLD * self.activation_map.max():
            return FLAT_MAP
        return f"map of {height} x {width} cells" if min(height, width) < _FEWEST_CELLS else ""

    def to_dict(self) -> dict[str, Any]:
        """The detection as JSON-ready values: boxes to 1/100 pixel, scores to 6 decimals."""
        box = None if self.box_xyxy is None else [round(value, 2) for value in self.box_xyxy]
        return {
            "class_id": self.class_id,
            "label": self.label,
            "score": round(self.score, 6),
            "box_xyxy": box,
        }


@dataclass(frozen=True)
class Localization:
    """The classes found in one photo, best score first.

    As the value of a notebook cell it shows its picture.

    Attributes:
        image: the name or path of the photo.
        width: its width in pixels, after its EXIF orientation was applied.
        height: its height in pixels.
        model: the name of the model.
        detections: the classes, best score first.
        pixels: the array (height, width, C), if the photo was given as one, else None. Not a part of
            `to_dict()`.
        map_kind: "exact", "gradient" or "augmented", see `keras_cam.layers.LocalizerModel`; None if that is
            not known.
        map_method: the method that made the maps; None if that is not known.
        runtime: what computed it, a key of `keras_cam.inference.runtimes.RUNTIMES`; "" if nobody knows.
    """

    image: str
    width: int
    height: int
    model: str
    detections: tuple[Detection, ...]
    pixels: np.ndarray | None = field(default=None, repr=False, compare=False)
    map_kind: str | None = None
    map_method: str | None = None
    runtime: str = field(default="", repr=False, compare=False)

    @property
    def boxed(self) -> tuple[Detection, ...]:
        """The detections that have a box."""
        return tuple(detection for detection in self.detections if detection.box_xyxy is not None)

    def mask(self, detection: Detection) -> np.ndarray | None:
        """The pixels of a detection, see `keras_cam.inference.object_mask`.

        Args:
            detection: one of `detections`.

        Returns:
            bool (height, width); None if it has no box.
        """
        if detection.box_xyxy is None:
            return None
        size_wh = (self.width, self.height)
        return object_mask(detection.activation_map, detection.box_xyxy, size_wh, detection.threshold)

    def picture(self, top: int = 1, masks: bool = False) -> np.ndarray:
        """The photo with the map of the best class and the boxes of the `top` best ones, uint8 (H', W', 3).

        Small photos are enlarged and large ones reduced, see `keras_cam.drawing.display_size`.

        Args:
            top: the number of boxes.
            masks: draw the masks of these boxes in place of the map.

        Raises:
            ImageError: the photo cannot be read any more.
        """
        from keras_cam.drawing import display_size, draw_localization
        from keras_cam.images.viewable import viewable

        photo = display_size(viewable(self.image if self.pixels is None else self.pixels))
        return draw_localization(photo, self, top, masks=masks)

    def save(self, path: str | Path, top: int = 1, masks: bool = False) -> None:
        """Write the picture to a JPEG, WebP or PNG file, see `picture`.

        Raises:
            ValueError: `path` does not end in .jpg, .webp or .png.
            ImageError: the photo cannot be read any more.
            OSError: the file cannot be written.
        """
        from keras_cam.images.files import write_picture

        write_picture(path, self.picture(top, masks))

    def show(self, top: int = 1, masks: bool = False) -> None:
        """Show the picture: in the notebook, or else in a window of the system's image viewer."""
        from PIL import Image

        picture = Image.fromarray(self.picture(top, masks))
        if "ipykernel" in sys.modules:
            from IPython.display import display

            display(picture)
        else:
            picture.show(self.image)

    def _repr_png_(self) -> bytes:
        from PIL import Image

        file = BytesIO()
        Image.fromarray(self.picture()).save(file, format="PNG")
        return file.getvalue()

    def to_supervision(self, masks: bool = False) -> "supervision.Detections":
        """The boxes as `supervision.Detections`; a class without a box is left out.

        Args:
            masks: whether they have masks, too.

        Returns:
            `xyxy` float32 (N, 4) in pixels, `confidence` float32 (N,), `class_id` int (N,), and the labels as
            `data["class_name"]`, best score first; with `masks`, `mask` bool (N, height, width).

        Raises:
            ModuleNotFoundError: the package supervision is not installed.
        """
        import supervision  # the extra `supervision`

        found = self.boxed
        shape = (-1, self.height, self.width)
        return supervision.Detections(
            xyxy=np.array([detection.box_xyxy for detection in found], np.float32).reshape(-1, 4),
            confidence=np.array([detection.score for detection in found], np.float32),
            class_id=np.array([detection.class_id for detection in found], int),
            mask=np.array([self.mask(one) for one in found], bool).reshape(shape) if masks else None,
            data={"class_name": np.array([detection.label for detection in found], str)},
        )

    def to_dict(self, masks: bool = False) -> dict[str, Any]:
        """The record as JSON-ready values.

        Args:
            masks: whether each detection also has its `mask`, COCO's run-length code, and `polygons`, lists
                of x, y, x, y, ... in pixels; None if it has no box.

        Examples:
            >>> cat = Detection(281, "tabby", 0.75, (1.0, 2.0, 30.123, 40.0), np.zeros((7, 7), np.float32))
            >>> Localization("cat.jpg", 64, 48, "my_model", (cat,)).to_dict()["detections"]
            [{'class_id': 281, 'label': 'tabby', 'score': 0.75, 'box_xyxy': [1.0, 2.0, 30.12, 40.0]}]
        """
        return {
            "image": self.image,
            "width": self.width,
            "height": self.height,
            "model": self.model,
            "map_kind": self.map_kind,
            "map_method": self.map_method,
            "runtime": self.runtime,
            "detections": [
                {**detection.to_dict(), **(self._mask_dict(detection) if masks else {})}
                for detection in self.detections
            ],
        }

    def rows(self) -> list[dict[str, Any]]:
        """The detections as rows of a table with `COLUMNS`, best first."""
        photo = {name: getattr(self, name) for name in ("image", "width", "height", "model")}
        return [
            {
                **photo,
                "rank": rank,
                "class_id": found.class_id,
                "label": found.label,
                "score": found.score,
                **dict(zip(_SIDES, found.box_xyxy or (), strict=False)),
            }
            for rank, found in enumerate(self.detections, 1)
        ]

    def _mask_dict(self, detection: Detection) -> dict[str, Any]:
        mask = self.mask(detection)
        if mask is None:
            return {"mask": None, "polygons": None}
        return {"mask": coco_rle(mask), "polygons": [outline.ravel().tolist() for outline in polygons(mask)]}


@dataclass(frozen=True)
class FailedImage:
    """A file that could not be read.

    Attributes:
        image: its path.
        error: one line that names the file and the reason.
    """

    image: str
    error: str


def to_dataframe(records: Iterable[Localization | FailedImage]) -> "pandas.DataFrame":
    """Records as a table.

    Args:
        records: what `keras_cam.localize` or `keras_cam.localize_files` gives.

    Returns:
        A row for each detection, best first, with the columns `image`, `width`, `height`, `model`, `rank`,
        `class_id`, `label`, `score`, `xmin`, `ymin`, `xmax`, `ymax` (pixels; missing if there is no box) and
        `error`; and a row for each image that could not be read, with `image` and `error` only.

    Raises:
        ModuleNotFoundError: pandas is not installed. `[record.to_dict() for record in records]` has the same
            content as lists and dicts.

    Examples:
        >>> cat = Detection(281, "tabby", 0.75, (1.0, 2.0, 30.0, 40.0), np.zeros((7, 7), np.float32))
        >>> records = [Localization("cat.jpg", 64, 48, "m", (cat,)), FailedImage("no.jpg", "empty")]
        >>> table = to_dataframe(records)
        >>> table["xmax"].tolist(), table["error"].tolist()[1]
        ([30.0, nan], 'empty')
    """
    import pandas

    rows: list[dict[str, Any]] = []
    for record in records:
        if isinstance(record, FailedImage):
            rows.append({"image": record.image, "error": record.error})
        else:
            rows += record.rows()
    integers = ("width", "height", "rank", "class_id")
    return pandas.DataFrame(rows, columns=(*COLUMNS, "error")).astype(dict.fromkeys(integers, "Int64"))


def localizations(
    outputs: Mapping[str, Any],
    images: Sequence[str],
    sizes_wh: Sequence[tuple[int, int]],
    labels: Sequence[str] | None = None,
    model: str = "",
    threshold: float | None = None,
) -> list[Localization]:
    """Turn what a localizer returns for a batch into one record a photo.

    Args:
        outputs: what the localizer returned for B images, as arrays: `detection_boxes` (B, K, 4) ymin, xmin,
            ymax, xmax in [0, 1]; `detection_classes`, `detection_scores` (B, K); `num_detections` (B,), how
            many of the K rows, from the first on, have a box; `class_activation_maps` (B, K, h, w); and, if
            maps are refined, `localization_maps` (B, K, h', w'), which become `Detection.activation_map`.
        images: B names or paths of the photos.
        sizes_wh: B sizes (width, height) of the original photos in pixels.
        labels: the names of all classes; None names them by their numbers.
        model: the name of the model, for the record.
        threshold: `Detection.threshold`; None takes the usual one of raw or of refined maps.

    Returns:
        B records, in the order of `images`.

    Raises:
        ValueError: `images` or `sizes_wh` is not one entry an image, or `labels` lacks a class.
        NotFiniteError: a `ValueError`; an output is NaN or infinite.

    Examples:
        >>> outputs = {
        ...     "detection_boxes": np.array([[[0.0, 0.25, 0.5, 1.0]]], np.float32),
        ...     "detection_classes": np.array([[1]], np.int32),
        ...     "detection_scores": np.array([[0.5]], np.float32),
        ...     "num_detections": np.array([1], np.int32),
        ...     "class_activation_maps": np.ones((1, 1, 2, 2), np.float32),
        ... }
        >>> [record] = localizations(outputs, ["dog.jpg"], [(400, 200)], ["cat", "dog"])
        >>> record.detections
        (Detection(class_id=1, label='dog', score=0.5, box_xyxy=(100.0, 0.0, 400.0, 100.0)),)
    """
    check_finite(outputs)
    batch = len(outputs["detection_boxes"])
    if not batch == len(images) == len(sizes_wh):
        raise ValueError(
            f"`images` and `sizes_wh` must have one entry for each of the {batch} images in `outputs`. "
            f"Received: len(images)={len(images)}, len(sizes_wh)={len(sizes_wh)}"
        )
    return [
        Localization(
            image=str(image),
            width=int(width),
            height=int(height),
            model=model,
            detections=_detections(
                {key: out[row] for key, out in outputs.items()}, width, height, labels, threshold
            ),
        )
        for row, (image, (width, height)) in enumerate(zip(images, sizes_wh, strict=True))
    ]


def _detections(
    outputs: Mapping[str, Any],
    width: int,
    height: int,
    labels: Sequence[str] | None,
    threshold: float | None,
) -> tuple[Detection, ...]:
    """The detections of one image, from the outputs of that image alone."""
    scale = np.array([height, width, height, width], np.float64)
    maps = outputs.get("localization_maps", outputs["class_activation_maps"])
    if threshold is None:
        threshold = usual_threshold(outputs)
    boxes_yxyx = np.clip(outputs["detection_boxes"], 0.0, 1.0) * scale
    detections = []
    for row, class_id in enumerate(int(value) for value in outputs["detection_classes"]):
        ymin, xmin, ymax, xmax = boxes_yxyx[row].tolist()
        detections.append(
            Detection(
                class_id=class_id,
                label=_label(class_id, labels),
                score=float(outputs["detection_scores"][row]),
                box_xyxy=(xmin, ymin, xmax, ymax) if row < outputs["num_detections"] else None,
                activation_map=np.asarray(maps[row], np.float32),
                threshold=threshold,
            )
        )
    # The localizer puts the rows that hold a box first; a reader wants the likeliest class first.
    return tuple(sorted(detections, key=lambda detection: -detection.score))


def _label(class_id: int, labels: Sequence[str] | None) -> str:
    if labels is None:
        return f"class {class_id}"
    if class_id >= len(labels):
        raise ValueError(
            f"`labels` must name every class of the model. "
            f"Received: {len(labels)} labels and a detection of class {class_id}"
        )
    return labels[class_id]
