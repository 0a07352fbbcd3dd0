"""A picture of each detection."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_cam.annotations.options import AnnotationOptions
from keras_cam.annotations.photo_copies import free_stem, plain_name
from keras_cam.images.files import read_image, write_png
from keras_cam.images.whole_folder import whole_folder
from keras_cam.inference.records import Localization, whole_pixels


@contextmanager
def crops_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write the boxes of each photo as `PHOTO_RANK_CLASS.png`, cut at whole pixels."""
    with whole_folder(path) as folder:

        def write(record: Localization) -> None:
            if not record.boxed:
                return
            pixels = read_image(record.image) if record.pixels is None else record.pixels
            first = _ending(record, 0)
            stem = free_stem(record, lambda stem: not (folder / f"{stem}{first}").exists())
            for position, found in enumerate(record.boxed):
                box = found.box_xyxy or (0.0,) * 4
                xmin, ymin, xmax, ymax = whole_pixels(box, (record.width, record.height))
                write_png(folder / f"{stem}{_ending(record, position)}", pixels[ymin:ymax, xmin:xmax])

        yield write


def _ending(record: Localization, position: int) -> str:
    found = record.boxed[position]
    return f"_{record.detections.index(found) + 1}_{plain_name(found.label)}.png"
