"""The folder of PASCAL VOC, http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from keras_cam.annotations.options import AnnotationOptions, readable
from keras_cam.annotations.photo_copies import copy_photo, free_stem
from keras_cam.images.whole_folder import whole_folder
from keras_cam.inference.records import Detection, Localization, whole_pixels

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_MASKS = ("SegmentationClass", "SegmentationObject")
_LARGEST = 254  # in a palette, 255 is the border of objects


@contextmanager
def voc_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write `JPEGImages/`, `Annotations/` and `ImageSets/Main/trainval.txt`.

    Boxes are whole pixels counted from 1, with inclusive maxima. With masks there are palette PNG, too: in
    `SegmentationClass/` a pixel is the number of its class plus 1, in `SegmentationObject/` that of its
    object, 0 is background; where masks overlap, the better score is in front.
    """
    with whole_folder(path) as folder:
        parts = ("JPEGImages", "Annotations", "ImageSets/Main", *(_MASKS if options.masks else ()))
        images, annotations, sets, *masks = (folder / part for part in parts)
        for place in (images, annotations, sets, *masks):
            place.mkdir(parents=True)
        with open(sets / "trainval.txt", "w", encoding="utf-8") as listed:

            def write(record: Localization) -> None:
                stem = free_stem(record, lambda stem: not (annotations / f"{stem}.xml").exists())
                photo = copy_photo(record, images / stem)
                for place, mask in zip(masks, _masks(record, options), strict=False):
                    mask.save(place / f"{stem}.png")
                _xml(record, photo.name, bool(masks)).write(annotations / f"{stem}.xml", encoding="utf-8")
                listed.write(f"{stem}\n")

            yield write


def _xml(record: Localization, filename: str, segmented: bool) -> ET.ElementTree:
    root = ET.Element("annotation")
    _children(root, folder="VOC", filename=filename)
    _children(ET.SubElement(root, "source"), database="keras-cam")
    _children(ET.SubElement(root, "size"), width=record.width, height=record.height, depth=3)
    _children(root, segmented=int(segmented))
    for found in record.boxed:
        entry = ET.SubElement(root, "object")
        _children(entry, name=readable(found.label), pose="Unspecified", truncated=0, difficult=0)
        xmin, ymin, *maxima = whole_pixels(found.box_xyxy or (0.0,) * 4, (record.width, record.height))
        sides = dict(zip(_SIDES, (xmin + 1, ymin + 1, *maxima), strict=True))
        _children(ET.SubElement(entry, "bndbox"), **sides)
        _children(entry, confidence=round(found.score, 6))
    ET.indent(root)
    return ET.ElementTree(root)


def _children(parent: ET.Element, **texts: object) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = str(text)


def _masks(record: Localization, options: AnnotationOptions) -> list[Image.Image]:
    """The classes and the objects of a photo, as palette images."""
    if not options.masks:
        return []
    classes, objects = np.zeros((2, record.height, record.width), np.uint8)
    for number, found in reversed(list(enumerate(record.boxed[:_LARGEST], 1))):
        mask = record.mask(found)
        classes[mask] = _class_value(found, options)
        objects[mask] = number
    return [_palette_image(values) for values in (classes, objects)]


def _class_value(found: Detection, options: AnnotationOptions) -> int:
    number = options.categories.number(found)
    if number >= _LARGEST:
        raise ValueError(
            f"Palette PNG hold {_LARGEST} classes: `classes` must name those to keep. "
            f"Received: class {number}, {found.label!r}"
        )
    return number + 1


def _palette_image(values: np.ndarray) -> Image.Image:
    image = Image.fromarray(values)
    image.putpalette(_palette().tobytes())
    return image


def _palette() -> np.ndarray:
    """VOC's colours, uint8 (256, 3): the bits of a number, dealt out to red, green and blue."""
    number = np.arange(256)[:, None]
    digits = [((number >> (3 * place + np.arange(3))) & 1) << (7 - place) for place in range(3)]
    return np.sum(digits, axis=0).astype(np.uint8)
