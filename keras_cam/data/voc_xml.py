"""The XML files of PASCAL VOC and ILSVRC, one for each image."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

from keras_cam.data.annotated_images import ProblemKind
from keras_cam.data.image_index import ImageIndex, RawBox

XML_ERRORS = (OSError, ET.ParseError, ValueError, LookupError)
"""What parsing raises if a file is not XML; the last two, if the parser does not know its encoding."""

XYXY = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class VocAnnotation:
    """The contents of an XML file.

    Attributes:
        file: the path of the XML file.
        size_wh: width and height of the image; None if the file does not have them.
        objects: the name and the box of each object, with half-open maxima; None for a box that is
            unreadable.
    """

    file: str
    size_wh: tuple[int, int] | None
    objects: tuple[tuple[str, XYXY | None], ...]


def read_voc_xml(path: str, index: ImageIndex) -> VocAnnotation | None:
    """Reads an XML file and reports to `index` what is unreadable in it.

    The maxima in the file are inclusive. Pixels are counted from 1, as PASCAL VOC and annotation tools do, or
    from 0 if `source/database` names ILSVRC or ImageNet, where 0 is a frequent minimum and no maximum reaches
    the width.

    Args:
        path: the XML file.
        index: where problems are reported.

    Returns:
        Its contents, or None if it is not XML.
    """
    try:
        root = ET.parse(path).getroot()
    except XML_ERRORS as error:
        index.report(ProblemKind.UNREADABLE_ANNOTATION, path, "", str(error))
        return None
    database = (root.findtext("source/database") or "").lower()
    first = 0 if "ilsvrc" in database or "imagenet" in database else 1
    objects = []
    for number, element in enumerate(root.iter("object"), start=1):
        name = (element.findtext("name") or "").strip()
        xyxy = _xyxy(element, first)
        if not name or xyxy is None:
            detail = "an object has a name and a box of four numbers"
            index.report(ProblemKind.UNREADABLE_ANNOTATION, path, f"object {number}", detail)
        if name:
            objects.append((name, xyxy))
    return VocAnnotation(path, _size_wh(root), tuple(objects))


def boxes_of_classes(
    annotation: VocAnnotation, classes: Mapping[str, int], index: ImageIndex
) -> list[RawBox]:
    """The objects whose names are in `classes`; the others are reported to `index`."""
    boxes = []
    for number, (name, xyxy) in enumerate(annotation.objects, start=1):
        if name in classes:
            boxes.append(RawBox(f"object {number}", xyxy, classes[name]))
        else:
            detail = f"{name!r} is not a class"
            index.report(ProblemKind.UNKNOWN_CATEGORY, annotation.file, f"object {number}", detail)
    return boxes


def _xyxy(element: ET.Element, first: int) -> XYXY | None:
    try:
        sides = ("xmin", "ymin", "xmax", "ymax")
        xmin, ymin, xmax, ymax = (float(element.findtext(f"bndbox/{side}") or "") - first for side in sides)
    except ValueError:
        return None
    return xmin, ymin, xmax + 1, ymax + 1


def _size_wh(root: ET.Element) -> tuple[int, int] | None:
    try:
        width, height = (int(root.findtext(f"size/{side}") or "") for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None
