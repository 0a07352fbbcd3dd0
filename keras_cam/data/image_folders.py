"""Image folders: one for each class, or a single one with PASCAL VOC or ILSVRC XML files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError, ProblemKind
from keras_cam.data.image_index import ImageIndex
from keras_cam.data.voc_xml import VocAnnotation, boxes_of_classes, read_voc_xml
from keras_cam.images.files import IMAGE_SUFFIXES

_ANNOTATIONS = "Annotations"


@dataclass
class _Folder:
    """The images of one folder, by file name, and its XML files, by stem."""

    images: list[str] = field(default_factory=list)
    xmls: dict[str, str] = field(default_factory=dict)


def is_image_folders(source: str, split: str | None = None) -> bool:
    """Whether `source` is a folder: any folder may be one of images, so this layout is tried last."""
    return os.path.isdir(source)


def read_image_folders(
    source: str, split: str | None = None, class_names: Sequence[str] | None = None, strict: bool = False
) -> AnnotatedImages:
    """Reads a folder of images for each class, or a single folder whose XML files name the classes.

    The XML file of an image has the same name except for the suffix. It lies beside the image, or at the
    corresponding place in `Annotations/`, a folder that may be in `source` or in the three folders above it:

    - `Annotations/cat/7.xml` for `cat/7.jpg`, `Annotations/train/cat/7.xml` for `train/cat/7.jpg`,
    - `Annotations/7.xml` for `JPEGImages/7.jpg` (PASCAL VOC),
    - `Annotations/CLS-LOC/val/7.xml` for `Data/CLS-LOC/val/7.JPEG` (ILSVRC).

    An image without an XML file has the class of its folder and no box. In a single folder, an image has the
    class of its first object. Hidden files and folders are ignored. An empty folder is a class without
    images.

    Args:
        source: the folder that contains the folders of the classes, or the images.
        split: the name of a folder in `source` that contains them instead.
        class_names: the names of the classes in the order of their indices, for instance those that a model
            was trained on. None takes the names of the class folders or, in a single folder, of the objects,
            sorted.
        strict: whether any problem in the annotations is an error.

    Returns:
        The data set, sorted by class folder and file name. An image's `name` is its path below `folder`.

    Raises:
        ValueError: if there is no folder `split`, or `class_names` has a name twice.
        AnnotationError: if there is no image, nothing is usable, or `strict` finds a problem.
    """
    folder = _split_folder(source, split)
    index = ImageIndex(folder)
    mirrors = list(_annotation_folders(folder))
    listed = {name: _list(folder, name, mirrors, index) for name in _class_folders(folder, index)}
    found = {name: content for name, content in listed.items() if content.images}
    top, single = _list(folder, "", mirrors, index), not found
    if single:
        found = {"": top}
    else:
        for image in top.images:
            index.report(ProblemKind.NO_LABEL, os.path.join(folder, image), "", "in no class folder")
    if not any(content.images for content in found.values()):
        raise AnnotationError(f"There is no image in {folder} and no folder with images directly in it.")
    annotations = {path: xml for name in found for path, xml in _read_xmls(folder, name, found[name], index)}
    names = class_names
    if names is None:
        in_files = {name for xml in annotations.values() if xml is not None for name, _ in xml.objects}
        names = sorted(in_files if single else listed)
    classes = {name: position for position, name in enumerate(names)}
    if len(classes) < len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise ValueError(f"`class_names` must be unique. Received twice: {', '.join(twice)}")
    for name, content in found.items():
        if not single and name not in classes:
            detail = f"{len(content.images)} images of a class that is not in `class_names`"
            index.report(ProblemKind.UNKNOWN_CATEGORY, os.path.join(folder, name), "", detail)
            continue
        for image in content.images:
            _add(index, folder, os.path.join(name, image), classes.get(name), annotations, classes)
    return index.finish(names, strict)


def _split_folder(source: str, split: str | None) -> str:
    if split is None:
        return source
    folder = os.path.join(source, split)
    if not os.path.isdir(folder):
        found = ", ".join(sorted(os.listdir(source))[:20])
        raise ValueError(
            f"`split` must be a folder or .json file in {source}, with {found}. Received: split={split!r}"
        )
    return folder


def _add(
    index: ImageIndex,
    folder: str,
    image: str,
    label: int | None,
    annotations: Mapping[str, VocAnnotation | None],
    classes: Mapping[str, int],
) -> None:
    path, xml = os.path.join(folder, image), annotations.get(image)
    if xml is None:
        index.add(image, path, path, label)
    else:
        boxes = boxes_of_classes(xml, classes, index)
        index.add(image, path, xml.file, label, boxes, xml.size_wh)


def _read_xmls(
    folder: str, name: str, content: _Folder, index: ImageIndex
) -> Iterator[tuple[str, VocAnnotation | None]]:
    """The path below `folder` of each image that has an XML file, with the contents of that file."""
    orphans = dict(content.xmls)
    for image in content.images:
        stem = os.path.splitext(image)[0]
        orphans.pop(stem, None)
        if stem in content.xmls:
            yield os.path.join(name, image), read_voc_xml(content.xmls[stem], index)
    for path in orphans.values():
        index.report(ProblemKind.UNKNOWN_IMAGE, path)


def _class_folders(folder: str, index: ImageIndex) -> list[str]:
    folders = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith(".") or entry.name == _ANNOTATIONS:
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif not os.path.exists(entry.path) and os.path.splitext(entry.name)[1] not in IMAGE_SUFFIXES:
                index.report(ProblemKind.MISSING_FILE, entry.path, "", "a link to nothing")
    return folders


def _list(folder: str, name: str, mirrors: Sequence[str], index: ImageIndex) -> _Folder:
    content = _Folder()
    for root in (*reversed(mirrors), folder):  # files beside the image replace those elsewhere
        place = os.path.join(root, name)
        if not os.path.isdir(place):
            continue
        try:
            files = sorted(os.listdir(place))
        except OSError as error:
            index.report(ProblemKind.UNREADABLE_IMAGE, place, "", error.strerror or str(error))
            continue
        for file in files:
            stem, suffix = os.path.splitext(file)
            if file.startswith("."):
                continue
            if suffix.lower() == ".xml":
                content.xmls[stem] = os.path.join(place, file)
            elif root == folder and suffix.lower() in IMAGE_SUFFIXES:
                content.images.append(file)
    return content


def _annotation_folders(folder: str) -> Iterator[str]:
    """The folders that may have XML files for the images in `folder`, the most likely one first."""
    above, below = os.path.abspath(folder), ""
    for _ in range(4):
        tail = below.partition(os.sep)[2]  # without JPEGImages/ or Data/
        for place in dict.fromkeys((below, tail)):
            path = os.path.join(above, _ANNOTATIONS, place)
            if os.path.isdir(path):
                yield os.path.normpath(path)
        above, last = os.path.split(above)
        below = os.path.join(last, below) if below else last
