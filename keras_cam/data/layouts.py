"""The table of data layouts, and the one function that reads annotated images in any of them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError
from keras_cam.data.coco_json import is_coco_json, read_coco_json
from keras_cam.data.csv_table import is_csv_table, read_csv_table
from keras_cam.data.cub200 import is_cub200, read_cub200
from keras_cam.data.image_folders import is_image_folders, read_image_folders
from keras_cam.data.street_view_text import is_street_view_text, read_street_view_text
from keras_cam.data.tf_records import is_tf_records, read_tf_records
from keras_cam.data.tfds_source import is_tfds, read_tfds
from keras_cam.data.wsol_metadata import is_wsol_metadata, read_wsol_metadata

_OPTIONAL = ("images_dir", "class_names", "data_dir", "allow_outside")


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to store annotated images.

    Attributes:
        name: what errors call it.
        matches: `matches(source, split)` tells whether a source has this layout. It does not read images, and
            returns False for a source that does not exist.
        read: `read(source, split, strict=..., **options)` reads the data set, usually with an `ImageIndex`.
        takes: the optional arguments of `read_annotations` that `read` takes as keywords: any of
            "images_dir", "class_names", "data_dir" and "allow_outside". The other ones are refused.
    """

    name: str
    matches: Callable[[str, str | None], bool]
    read: Callable[..., AnnotatedImages]
    takes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not set(self.takes) <= set(_OPTIONAL):
            raise ValueError(f"`takes` must be some of {_OPTIONAL}. Received: takes={self.takes}")


LAYOUTS = (
    Layout("TensorFlow Datasets", is_tfds, read_tfds, ("data_dir",)),
    Layout("CSV", is_csv_table, read_csv_table, ("images_dir", "class_names", "allow_outside")),
    Layout("TFRecord", is_tf_records, read_tf_records, ("class_names",)),
    Layout("COCO JSON", is_coco_json, read_coco_json, ("images_dir", "allow_outside")),
    Layout("CUB-200-2011", is_cub200, read_cub200, ("images_dir", "allow_outside")),
    Layout("Street View Text", is_street_view_text, read_street_view_text, ("allow_outside",)),
    Layout("wsolevaluation metadata", is_wsol_metadata, read_wsol_metadata, ("images_dir", "allow_outside")),
    Layout("a folder of images", is_image_folders, read_image_folders, ("class_names",)),
)
"""All layouts, in the order in which they are tried."""


def read_annotations(
    source: str | Path,
    split: str | None = None,
    *,
    images_dir: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    allow_outside: bool = False,
    value_range: tuple[float, float] | None = None,
    strict: bool = False,
    layouts: Sequence[Layout] = LAYOUTS,
) -> AnnotatedImages:
    """Reads which classes are in which images, and where.

    The first of `layouts` that matches is used:

    - TensorFlow Datasets: `tfds:NAME` or `tfds:NAME:SPLIT`, for instance `tfds:caltech_birds2011:test`, with
      the features `image`, `label` or `labels`, and `bbox` or `objects`. Downloads and prepares the data
      set if necessary.
    - CSV: a `.csv` file, or a folder with `<split>.csv`. The columns are `image` and `label`, optionally
      `xmin`, `ymin`, `xmax`, `ymax` and `split`.
    - TFRecord: a `.tfrecord` file, or a folder of them, whose names begin with `split`.
    - COCO JSON: a `.json` file, or a folder with `annotations.json`, `<split>.json` or just one `.json`.
      `file_name` is relative to the JSON file.
    - CUB-200-2011: its folder, with `images.txt`, `image_class_labels.txt`, `classes.txt` and `images/`;
      `split` is "train", "test" or None for both.
    - Street View Text: a folder with `train.xml` or `test.xml`; `split` is "train", "test" or None for both.
      The only class is `text`, with a box for each word.
    - wsolevaluation: a folder with `image_ids.txt`, `class_labels.txt`, `image_sizes.txt` and
      `localization.txt`; `split` is a folder above it.
    - Image folders: a folder of images for each class; `split` is a folder above them. Boxes are read from
      PASCAL VOC or ILSVRC XML files beside the images or in `Annotations/`; without them there are only
      labels. A single folder of images with XML files is read, too.

    An annotation that is wrong is skipped and listed in `problems`; with `strict`, it is an error. Images are
    not decoded: an image that cannot be decoded is an error when it is read.

    Args:
        source: a file, a folder, or `tfds:NAME`.
        split: the part of the data set to read; None reads all of it, or its only part.
        images_dir: COCO, CSV, CUB-200-2011, wsolevaluation: the folder of the images; None takes the one that
            the layout defines.
        class_names: image folders, CSV, TFRecord: the names of all classes in the order of their indices, so
            that a split in which some classes are missing has the same indices. None takes the names that
            occur, sorted.
        data_dir: TensorFlow Datasets: the folder in which data sets are kept; None takes the default of
            TensorFlow Datasets.
        allow_outside: whether files of annotations may name images outside their folder, or outside of
            `images_dir`. By default such an image is a problem, because these files may come from anybody.
        value_range: black and white of grey images of more than 8 bits, see
            `keras_cam.images.files.read_image`.
        strict: whether any problem is an error.
        layouts: the layouts to try, in this order. `(MINE, *LAYOUTS)` adds one of your own.

    Returns:
        The data set: a sequence of `AnnotatedImage`.

    Raises:
        ValueError: if the layout does not take one of the arguments, or has no such `split`.
        AnnotationError: a `ValueError`, if `source` does not exist or no layout matches, a file cannot be
            read, no image is usable, or `strict` finds a problem.

    Examples:
        >>> import json, tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (40, 30)).save(folder / "cat.png")
        >>> _ = (folder / "annotations.json").write_text(json.dumps({
        ...     "images": [{"id": 7, "file_name": "cat.png", "width": 40, "height": 30}],
        ...     "annotations": [{"id": 1, "image_id": 7, "category_id": 17, "bbox": [10, 5, 20, 15]}],
        ...     "categories": [{"id": 16, "name": "bird"}, {"id": 17, "name": "cat"}],
        ... }))
        >>> [cat] = read_annotations(folder)
        >>> cat.name, cat.label, cat.boxes_xyxy.tolist(), cat.read().shape
        ('7', 1, [[10.0, 5.0, 30.0, 20.0]], (30, 40, 3))
    """
    source = str(source)
    try:
        layout = _find(source, split, layouts)
    except OSError as error:
        raise AnnotationError(f"Cannot read {error.filename or source}: {error.strerror or error}") from error
    options = dict(zip(_OPTIONAL, (images_dir, class_names, data_dir, allow_outside or None), strict=True))
    for name, value in options.items():
        if value is not None and name not in layout.takes:
            raise ValueError(f"`{name}` must be None for {layout.name}. Received: {name}={value!r}")
    taken = {name: options[name] for name in layout.takes}
    try:
        found = layout.read(source, split, strict=strict, **taken)
    except OSError as error:
        raise AnnotationError(f"Cannot read {error.filename or source}: {error.strerror or error}") from error
    if value_range is None:
        return found
    return replace(found, images=tuple(replace(image, value_range=value_range) for image in found))


def _find(source: str, split: str | None, layouts: Sequence[Layout]) -> Layout:
    for layout in layouts:
        if layout.matches(source, split):
            return layout
    if not os.path.exists(source):
        raise AnnotationError(f"`source` must be a file, a folder or tfds:NAME. There is no {source!r}")
    raise AnnotationError(
        f"`source` must be a folder or a .json, .csv or .tfrecord file. Received: source={source!r}"
    )
