"""COCO's format for object detection, https://cocodataset.org/#format-data."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from keras_cam.annotations.json_array import JsonArray
from keras_cam.annotations.options import AnnotationOptions
from keras_cam.images.whole_file import whole_file
from keras_cam.inference.masks import coco_rle
from keras_cam.inference.records import Detection, Localization

_INFO = {"description": "Boxes and scores of keras-cam"}


@contextmanager
def coco_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write a JSON file with `images`, `annotations` and `categories`.

    Ids of images and annotations are counted from 1, those of categories from 0. `bbox` is x, y, width,
    height in pixels. An annotation also has its `score`, and with masks its `segmentation` as a run-length
    code.
    """
    with (
        whole_file(path) as unfinished,
        open(unfinished, "w", encoding="ascii") as file,
        # Images and annotations grow together, but one list comes after the other.
        TemporaryFile("w+", encoding="ascii", dir=path.parent) as rest,
    ):
        file.write(f'{{"info": {json.dumps(_INFO)}, "licenses": [],\n"images": ')
        images, annotations = JsonArray(file), JsonArray(rest)
        image_ids, annotation_ids = count(1), count(1)

        def write(record: Localization) -> None:
            image_id, name = next(image_ids), options.name(record)
            size = {"width": record.width, "height": record.height}
            images.append({"id": image_id, "file_name": name, **size})
            for found in record.boxed:
                ids = {"id": next(annotation_ids), "image_id": image_id}
                annotations.append({**ids, **_annotation(record, found, options)})

        yield write
        images.close()
        annotations.close()
        rest.seek(0)
        file.write(',\n"annotations": ')
        shutil.copyfileobj(rest, file)
        names = sorted(options.categories.names.items())
        categories = [{"id": number, "name": name} for number, name in names]
        file.write(f',\n"categories": {json.dumps(categories)}}}\n')


def _annotation(record: Localization, found: Detection, options: AnnotationOptions) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = found.box_xyxy or (0.0,) * 4
    mask = record.mask(found) if options.masks else None
    return {
        "category_id": options.categories.number(found),
        "bbox": [round(value, 2) for value in (xmin, ymin, xmax - xmin, ymax - ymin)],
        "area": round((xmax - xmin) * (ymax - ymin), 2) if mask is None else int(mask.sum()),
        "segmentation": [] if mask is None else coco_rle(mask),
        "iscrowd": 0,
        "score": round(found.score, 6),
    }
