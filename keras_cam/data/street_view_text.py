"""Photos with text, in the layout of Street View Text.

Reference:
    Wang, Babenko and Belongie, "End-to-End Scene Text Recognition", ICCV 2011.
"""

import os
import xml.etree.ElementTree as ET

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex, RawBox
from keras_cam.data.voc_xml import XML_ERRORS

CLASS_NAME = "text"

_SPLITS = ("train", "test")


def is_street_view_text(folder: str, split: str | None = None) -> bool:
    """Whether a folder has `train.xml` or `test.xml` with a `tagset`."""
    return any(_is_tagset(os.path.join(folder, f"{split}.xml")) for split in _SPLITS)


def read_street_view_text(
    folder: str, split: str | None = None, strict: bool = False, allow_outside: bool = False
) -> AnnotatedImages:
    """Reads `train.xml` and `test.xml`, which list the words in each photo with their boxes.

    The only class is `text`. Every photo has it, with a box for each word.

    Args:
        folder: the folder of the XML files; the paths of photos in them are relative to it.
        split: "train", "test", or None for both.
        strict: whether any problem in the annotations is an error.
        allow_outside: whether images may be outside of `folder`.

    Returns:
        The data set, in the order of the files.

    Raises:
        ValueError: if `split` is another one.
        AnnotationError: if a file cannot be read, no photo is usable, or `strict` finds a problem.
    """
    if split not in (None, *_SPLITS):
        raise ValueError(f"`split` must be one of {_SPLITS} or None. Received: split={split!r}")
    index = ImageIndex(folder)
    for name in (split,) if split else _SPLITS:
        file = os.path.join(folder, f"{name}.xml")
        if split is None and not os.path.isfile(file):
            continue
        try:
            root = ET.parse(file).getroot()
        except XML_ERRORS as error:
            raise AnnotationError(f"{file} cannot be read: {error}") from error
        for image in root.iter("image"):
            _add(index, image, folder, file, None if allow_outside else folder)
    return index.finish([CLASS_NAME], strict)


def _add(index: ImageIndex, image: ET.Element, folder: str, file: str, within: str | None) -> None:
    name = (image.findtext("imageName") or "").strip()
    boxes = []
    for number, rectangle in enumerate(image.iter("taggedRectangle")):
        try:
            x, y, width, height = (float(rectangle.attrib[key]) for key in ("x", "y", "width", "height"))
        except (KeyError, ValueError) as error:
            index.report(ProblemKind.UNREADABLE_ANNOTATION, file, f"image {name}, word {number}", str(error))
            continue
        boxes.append(RawBox(f"word {number}", (x, y, x + width, y + height), 0))
    index.add(name, os.path.join(folder, name), file, 0, boxes, root=within)


def _is_tagset(file: str) -> bool:
    try:
        return ET.parse(file).getroot().tag == "tagset"
    except XML_ERRORS:
        return False
