"""Label Studio's tasks with predictions, https://labelstud.io/guide/predictions."""

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from keras_cam.annotations.json_array import JsonArray
from keras_cam.annotations.options import AnnotationOptions, readable
from keras_cam.images.whole_folder import whole_folder
from keras_cam.inference.records import Detection, Localization

LOCAL_FILES = "/data/local-files/?d="
"""What Label Studio calls a file below its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT."""

_BOXES, _BRUSHES = "RectangleLabels", "BrushLabels"


@dataclass(frozen=True)
class Interface:
    """The names in a labelling interface, by default those of `label_config`.

    Attributes:
        boxes: the tag that draws rectangles.
        brushes: the tag that draws masks; None if there is none.
        image: the tag that shows the photo.
        variable: the key of a task's `data` that names the photo.
    """

    boxes: str = "label"
    brushes: str | None = "brush"
    image: str = "image"
    variable: str = "image"

    @classmethod
    def from_xml(cls, text: str) -> "Interface":
        """Read the labelling interface of a project.

        Raises:
            ValueError: it is not XML, or has no `Image` with `RectangleLabels`.

        Examples:
            >>> Interface.from_xml(label_config(["cat"]))
            Interface(boxes='label', brushes=None, image='image', variable='image')
        """
        try:
            view = ET.fromstring(text)
        except ET.ParseError as error:
            raise ValueError(f"The labelling interface must be XML. Received: {error}") from error
        image, boxes, brushes = (view.find(f".//{tag}") for tag in ("Image", _BOXES, _BRUSHES))
        if image is None or boxes is None:
            raise ValueError(f"The labelling interface must have `Image` and `{_BOXES}`. Received: {text!r}")
        return cls(
            boxes=boxes.get("name", ""),
            brushes=None if brushes is None else brushes.get("name"),
            image=image.get("name", ""),
            variable=image.get("value", "").lstrip("$"),
        )


@contextmanager
def label_studio_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write `tasks.json`, to import, and `label_config.xml`, the labelling interface that fits to it.

    Names of photos are relative to `images_dir`, Label Studio's LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT.
    """
    with whole_folder(path) as folder:
        with open(folder / "tasks.json", "w", encoding="ascii") as file:
            tasks = JsonArray(file)

            def write(record: Localization) -> None:
                url = _url(options.name(record), record)
                for found in record.boxed:
                    options.categories.number(found)
                tasks.append({"data": {"image": url}, "predictions": [prediction(record, options.masks)]})

            yield write
            tasks.close()
        names = [name for _, name in sorted(options.categories.names.items())]
        (folder / "label_config.xml").write_text(label_config(names, options.masks), encoding="utf-8")


def prediction(
    record: Localization, masks: bool = False, interface: Interface = Interface()
) -> dict[str, Any]:
    """All boxes and masks of a photo as one prediction.

    Args:
        record: the record.
        masks: whether there are masks, too, if the interface has brushes.
        interface: the names of its tags.

    Returns:
        `model_version`, `score`, that of the best one, and `result`, whose rectangles are in percent of the
        photo.

    Examples:
        >>> cat = Detection(0, "cat", 0.75, (16.0, 12.0, 32.0, 48.0), np.eye(7, dtype=np.float32))
        >>> found = prediction(Localization("cat.jpg", 64, 48, "m", (cat,)))
        >>> {key: found["result"][0]["value"][key] for key in ("x", "y", "width", "height")}
        {'x': 25.0, 'y': 25.0, 'width': 25.0, 'height': 75.0}
    """
    kinds = {_BOXES: (interface.boxes, _rectangle)}
    if masks and interface.brushes is not None:
        kinds[_BRUSHES] = (interface.brushes, _brush)
    results = [
        {
            "id": f"{tag}-{rank}",
            "from_name": tag,
            "to_name": interface.image,
            "type": kind.lower(),
            "original_width": record.width,
            "original_height": record.height,
            "image_rotation": 0,
            "score": round(found.score, 6),
            "value": {**value(record, found), kind.lower(): [readable(found.label)]},
        }
        for kind, (tag, value) in kinds.items()
        for rank, found in enumerate(record.boxed, 1)
    ]
    score = max((found.score for found in record.boxed), default=0.0)
    return {"model_version": record.model or "keras-cam", "score": round(score, 6), "result": results}


def label_config(names: Iterable[str], masks: bool = False) -> str:
    """The labelling interface for these classes, as XML."""
    view = ET.Element("View")
    ET.SubElement(view, "Image", name="image", value="$image", zoom="true")
    listed = [readable(name) for name in names]
    tags = Interface()
    kinds = {_BOXES: tags.boxes, **({_BRUSHES: tags.brushes} if masks else {})}
    for kind, tag in kinds.items():
        labels = ET.SubElement(view, kind, name=str(tag), toName="image")
        for name in listed:
            ET.SubElement(labels, "Label", value=name)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")


def _url(name: str, record: Localization) -> str:
    if record.pixels is not None or name.startswith("../") or os.path.isabs(name):
        raise ValueError(
            "For label-studio the photos must be files below `images_dir`, which Label Studio knows as "
            f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT. Received: {record.image!r}"
        )
    return LOCAL_FILES + quote(os.fsencode(name))


def _rectangle(record: Localization, found: Detection) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = found.box_xyxy or (0.0,) * 4
    across, down = 100 / record.width, 100 / record.height
    sides = {
        "x": xmin * across,
        "y": ymin * down,
        "width": (xmax - xmin) * across,
        "height": (ymax - ymin) * down,
    }
    return {**{name: round(value, 4) for name, value in sides.items()}, "rotation": 0}


def _brush(record: Localization, found: Detection) -> dict[str, Any]:
    return {"format": "rle", "rle": brush_rle(np.asarray(record.mask(found)))}


def brush_rle(mask: np.ndarray) -> list[int]:
    """A mask as the run-length code of Label Studio's brushes.

    Args:
        mask: bool (height, width).

    Returns:
        The bytes. They hold the RGBA pixels of the mask, row by row, each of the four values 255 inside and 0
        outside, in runs.

    Reference:
        https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack: 32 bits for the number of values, 5
        for their bits minus 1, four times 4 for the sizes of numbers minus 1; then for each run a bit 1, two
        bits for the size of its number, its length minus 1, and its value.

    Examples:
        >>> brush_rle(np.array([[True]]))
        [0, 0, 0, 4, 57, 189, 252, 63, 240]
    """
    pixels = np.asarray(mask, bool).ravel()
    starts = np.concatenate([[0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1])
    lengths = 4 * np.diff(np.append(starts, pixels.size))
    bits = f"{4 * pixels.size:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)
    bits += "".join(
        _run(length, "1" * 8 if pixels[start] else "0" * 8)
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    )
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


_SIZES = (4, 8, 12, 16)
"""Bits of the numbers that code the lengths of runs."""


def _run(length: int, value: str) -> str:
    """A run, cut where it is too long for the largest size."""
    longest = 1 << _SIZES[-1]
    parts = [longest] * (length // longest) + [length % longest] * (length % longest > 0)
    return "".join(_part(part - 1, value) for part in parts)


def _part(number: int, value: str) -> str:
    index = next(index for index, size in enumerate(_SIZES) if number < 1 << size)
    return f"1{index:02b}{number:0{_SIZES[index]}b}{value}"
