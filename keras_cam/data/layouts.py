"""The one function that reads annotated images, whatever the layout of their annotations is."""

import os
from collections.abc import Sequence
from pathlib import Path

from keras_cam.data import cub200, wsol_metadata
from keras_cam.data.annotated_images import AnnotatedImages, AnnotationError
from keras_cam.data.coco_json import read_coco_json
from keras_cam.data.csv_table import read_csv_table
from keras_cam.data.image_folders import read_image_folders
from keras_cam.data.street_view_text import has_street_view_text, read_street_view_text
from keras_cam.data.tf_records import read_tf_records, tf_record_files

_TFDS = "tfds:"


def read_annotations(
    source: str | Path,
    split: str | None = None,
    *,
    images_dir: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    strict: bool = False,
) -> AnnotatedImages:
    """Reads which classes are in which images, and where.

    The layout is recognized:

    - COCO JSON: a `.json` file, or a folder with `annotations.json`, `<split>.json` or just one `.json`.
      `file_name` is relative to the JSON file.
    - CSV: a `.csv` file, or a folder with `<split>.csv`; the columns `image` and `label`, and maybe `xmin`,
      `ymin`, `xmax`, `ymax` and `split`.
    - TFRecord: a `.tfrecord` file, or a folder of them, whose names begin with `split`.
    - CUB-200-2011: its folder, with `images.txt`, `image_class_labels.txt`, `classes.txt` and `images/`;
      `split` is "train", "test" or None for both.
    - Street View Text: a folder with `train.xml` or `test.xml`, which is also the `split`. The only class is
      `text`, with a box for each word.
    - wsolevaluation: a folder with `image_ids.txt`, `class_labels.txt`, `image_sizes.txt` and
      `localization.txt`; `split` is a folder above it.
    - Image folders: a folder of images for each class; `split` is a folder above them. Boxes are in PASCAL
      VOC or ILSVRC XML files beside the images or in `Annotations/`; without them there are labels only.
      A single folder of images with XML files will do, too.
    - TensorFlow Datasets: `tfds:NAME` or `tfds:NAME:SPLIT`, for instance `tfds:caltech_birds2011:test`, with
      the features `image`, `label` or `labels`, and `bbox` or `objects`. Downloads the data if they are
      not there. Needs `pip install "keras-cam[tfds]"`.

    What is wrong in the annotations is reported in `problems` and skipped, or an error if `strict`. No image
    is decoded; whether a file can be read shows when it is read.

    Args:
        source: a file, a folder, or `tfds:NAME`.
        split: which part of the data set; None takes all, or the only one.
        images_dir: COCO, CSV, CUB-200-2011, wsolevaluation: the folder of the images; None takes the usual
            one.
        class_names: image folders, CSV, TFRecord: the names of all classes in the order of their indices, so
            that a split without some of them counts like the others. None takes those that are there, sorted.
        data_dir: TensorFlow Datasets: where they are kept. None takes their usual place.
        strict: whether any problem is an error.

    Returns:
        The data set: a sequence of `AnnotatedImage`.

    Raises:
        ValueError: if an argument does not go with the layout.
        AnnotationError: a `ValueError`, if `source` is not there or has no such layout, a file cannot be
            read, nothing is usable, or `strict` finds a problem.

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
    source, images = str(source), None if images_dir is None else str(images_dir)
    if source.startswith(_TFDS):
        _refuse("TensorFlow Datasets", images_dir=images_dir, class_names=class_names)
        from keras_cam.data.tfds_source import read_tfds

        return read_tfds(source.removeprefix(_TFDS), split, data_dir, strict)
    if not os.path.exists(source):
        raise AnnotationError(f"`source` must be a file, a folder or tfds:NAME. There is no {source!r}")
    if csv_file := _csv_file(source, split):
        _refuse("CSV", data_dir=data_dir)
        own_split = split if csv_file == source else None
        return read_csv_table(csv_file, own_split, images, class_names, strict)
    if files := tf_record_files(source, split):
        _refuse("TFRecord", images_dir=images_dir, data_dir=data_dir)
        return read_tf_records(files, class_names, strict)
    if os.path.isfile(source) and not source.lower().endswith(".json"):
        raise AnnotationError(
            f"`source` must be a folder or a .json, .csv or .tfrecord file. Received: source={source!r}"
        )
    if json_file := _json_file(source, split):
        _refuse("COCO JSON", class_names=class_names, data_dir=data_dir)
        return read_coco_json(json_file, images, strict)
    if _has(source, cub200.MARKERS):
        _refuse("CUB-200-2011", class_names=class_names, data_dir=data_dir)
        return cub200.read_cub200(source, split, images, strict)
    if has_street_view_text(source):
        _refuse("Street View Text", images_dir=images_dir, class_names=class_names, data_dir=data_dir)
        return read_street_view_text(source, split, strict)
    folder = _split_folder(source, split)
    if _has(folder, wsol_metadata.MARKERS):
        _refuse("wsolevaluation metadata", class_names=class_names, data_dir=data_dir)
        return wsol_metadata.read_wsol_metadata(folder, images, strict)
    _refuse("a folder of images", images_dir=images_dir, data_dir=data_dir)
    return read_image_folders(folder, class_names, strict)


def _json_file(source: str, split: str | None) -> str | None:
    """The COCO JSON file that `source` is or has, if any."""
    if os.path.isfile(source):
        if split is not None:
            raise ValueError(f"`split` must be None, for {source} is one split. Received: split={split!r}")
        return source
    files = sorted(file for file in os.listdir(source) if file.endswith(".json") and not file.startswith("."))
    if split is not None:
        return os.path.join(source, f"{split}.json") if f"{split}.json" in files else None
    if not files or _has(source, cub200.MARKERS) or _has(source, wsol_metadata.MARKERS):
        return None
    if len(files) > 1 and "annotations.json" not in files:
        splits = [file.removesuffix(".json") for file in files]
        raise ValueError(f"`split` must be one of {splits} for {source}. Received: split=None")
    return os.path.join(source, files[0] if len(files) == 1 else "annotations.json")


def _csv_file(source: str, split: str | None) -> str | None:
    """The CSV file that `source` is, or has for the split, if any."""
    if os.path.isfile(source):
        return source if source.lower().endswith(".csv") else None
    file = os.path.join(source, f"{split}.csv")
    return file if split is not None and os.path.isfile(file) else None


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


def _has(folder: str, names: Sequence[str]) -> bool:
    return all(os.path.isfile(os.path.join(folder, name)) for name in names)


def _refuse(layout: str, **arguments: object) -> None:
    """Tells that an argument would have had no effect."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"`{name}` must be None for {layout}. Received: {name}={value!r}")
