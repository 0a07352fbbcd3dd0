"""Label Studio's tasks with predictions, https://labelstud.io/guide/predictions."""

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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

# The tags of the labelling interface: what their regions are called, and the tag that draws them.
_BOXES, _BRUSHES = "label", "brush"
_TAGS = {_BOXES: "RectangleLabels", _BRUSHES: "BrushLabels"}


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


def prediction(record: Localization, masks: bool = False) -> dict[str, Any]:
    """All boxes and masks of a photo as one prediction.

    Args:
        record: the record.
        masks: whether there are masks, too.

    Returns:
        `model_version`, `score`, that of the best one, and `result`, whose rectangles are in percent of the
        photo.

    Examples:
        >>> cat = Detection(0, "cat", 0.75, (16.0, 12.0, 32.0, 48.0), np.eye(7, dtype=np.float32))
        >>> found = prediction(Localization("cat.jpg", 64, 48, "m", (cat,)))
        >>> {key: found["result"][0]["value"][key] for key in ("x", "y", "width", "height")}
        {'x': 25.0, 'y': 25.0, 'width': 25.0, 'height': 75.0}
    """
    results = [
        _region(record, found, _BOXES, rank, _rectangle(record, found)) for rank, found in _ranked(record)
    ]
    if masks:
        results += [
            _region(record, found, _BRUSHES, rank, _brush(record, found)) for rank, found in _ranked(record)
        ]
    score = max((found.score for found in record.boxed), default=0.0)
    return {"model_version": record.model or "keras-cam", "score": round(score, 6), "result": results}


def label_config(names: Iterable[str], masks: bool = False) -> str:
    """The labelling interface for these classes, as XML."""
    view = ET.Element("View")
    ET.SubElement(view, "Image", name="image", value="$image", zoom="true")
    listed = [readable(name) for name in names]
    for tag in (_BOXES, _BRUSHES) if masks else (_BOXES,):
        labels = ET.SubElement(view, _TAGS[tag], name=tag, toName="image")
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


def _ranked(record: Localization) -> Iterator[tuple[int, Detection]]:
    return enumerate(record.boxed, 1)


def _region(
    record: Localization, found: Detection, tag: str, rank: int, value: dict[str, Any]
) -> dict[str, Any]:
    kind = _TAGS[tag].lower()
    return {
        "id": f"{tag}-{rank}",
        "from_name": tag,
        "to_name": "image",
        "type": kind,
        "original_width": record.width,
        "original_height": record.height,
        "image_rotation": 0,
        "score": round(found.score, 6),
        "value": {**value, kind: [readable(found.label)]},
    }


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
