"""From records to the files of other tools."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from keras_cam.annotations.formats import ANNOTATION_FORMATS
from keras_cam.annotations.options import AnnotationOptions, Categories
from keras_cam.annotations.selection import Selection
from keras_cam.formats import load_object
from keras_cam.images.files import ImageError
from keras_cam.inference.records import FailedImage, Localization


def export_annotations(
    records: Iterable[Localization | FailedImage],
    path: str | Path,
    format: str = "coco",  # noqa: A002  (the word of `keras_cam.export` and of the command line)
    *,
    class_names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    min_score: float = 0.0,
    min_scores: Mapping[str, float] | None = None,
    top_k: int | None = None,
    masks: bool = False,
    images_dir: str | Path | None = None,
) -> list[FailedImage]:
    """Write boxes and masks as annotations that other tools read and people correct.

    Files and folders appear whole or not at all, and records are not kept in memory.

    Args:
        records: what `keras_cam.localize` or `keras_cam.localize_files` gives, of any number.
        path: the file or the new folder to write.
        format: a name in `keras_cam.annotations.ANNOTATION_FORMATS`.
        class_names: the names of all classes of the model; None lists only those that occur.
        classes: the names of the classes to keep, which are then numbered in this order from 0; None keeps
            all, with the numbers of the model.
        min_score: the lowest score of a detection.
        min_scores: the lowest score of single classes, by name.
        top_k: how many detections of a photo are kept, best first; None keeps all.
        masks: whether masks are written, too: the thresholded maps, resized to the photos.
        images_dir: the folder that names of photos are relative to; None takes the one that `path` is in.

    Returns:
        The photos that could not be read, which are left out. A photo without a detection is not left out.

    Raises:
        ValueError: an argument is not as described above, or the format cannot hold what is asked for.
        FileExistsError: the folder exists and is not empty.
        OSError: the file cannot be written.
        ModuleNotFoundError: the package that the format needs is not installed.

    Examples:
        >>> import json, tempfile
        >>> import numpy as np
        >>> from keras_cam.inference import Detection
        >>> cat = Detection(0, "cat", 0.75, (1.0, 2.0, 30.0, 40.0), np.eye(7, dtype=np.float32))
        >>> path = Path(tempfile.mkdtemp()) / "cats.json"
        >>> export_annotations([Localization("cat.jpg", 64, 48, "m", (cat,))], path, images_dir=".")
        []
        >>> document = json.loads(path.read_text())
        >>> document["images"], document["annotations"][0]["bbox"]
        ([{'id': 1, 'file_name': 'cat.jpg', 'width': 64, 'height': 48}], [1.0, 2.0, 29.0, 38.0])
    """
    selection = Selection(min_score, min_scores or {}, classes, top_k)
    if class_names is not None:
        selection.check_names(class_names)
    failures: list[FailedImage] = []
    with annotation_writer(
        path, format, class_names=class_names, classes=classes, masks=masks, images_dir=images_dir
    ) as write:
        for record in records:
            if isinstance(record, FailedImage):
                failures.append(record)
                continue
            try:
                write(selection(record))
            except ImageError as error:
                failures.append(FailedImage(record.image, str(error)))
    return failures


@contextmanager
def annotation_writer(
    path: str | Path,
    format: str = "coco",  # noqa: A002
    *,
    class_names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    masks: bool = False,
    images_dir: str | Path | None = None,
) -> Iterator[Callable[[Localization], None]]:
    """Write records one by one, see `export_annotations`, which this is the inside of.

    Yields:
        A function that writes a record. It raises `ImageError` if a format with photos cannot read one, and
        has then written nothing of this record.
    """
    path = Path(path)
    check_annotation_format(path, format, masks)
    options = AnnotationOptions(
        Categories(classes, class_names), path.parent if images_dir is None else Path(images_dir), masks
    )
    with load_object(ANNOTATION_FORMATS[format].writer)(path, options) as write:
        yield write


def check_annotation_format(path: Path, name: str, masks: bool) -> None:
    """Raise a `ValueError` unless there is such a format, and it has this suffix and, if asked for, masks."""
    if name not in ANNOTATION_FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(ANNOTATION_FORMATS)}. Received: format={name!r}"
        )
    row = ANNOTATION_FORMATS[name]
    if row.suffix and path.suffix.lower() != row.suffix:
        raise ValueError(f"`path` must end in {row.suffix} for {name}. Received: path={str(path)!r}")
    if masks and not row.has_masks:
        able = ", ".join(key for key, one in ANNOTATION_FORMATS.items() if one.has_masks)
        raise ValueError(f"`masks` must be False unless the format is one of {able}. Received: {name}")
