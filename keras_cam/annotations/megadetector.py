"""The JSON of MegaDetector's batch runs, which tools for camera traps read (Timelapse, EcoAssist).

The format is described at https://lila.science/megadetector-output-format, version 1.4.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_cam.annotations.json_array import JsonArray
from keras_cam.annotations.options import AnnotationOptions
from keras_cam.images.whole_file import whole_file
from keras_cam.inference.records import Detection, Localization


@contextmanager
def megadetector_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write a JSON file with `images`, `detection_categories` and `info`.

    `bbox` is x, y, width, height as fractions of the photo; categories are numbers as text.
    """
    with whole_file(path) as unfinished, open(unfinished, "w", encoding="ascii") as file:
        file.write('{"images": ')
        images = JsonArray(file)
        model = "keras-cam"

        def write(record: Localization) -> None:
            nonlocal model
            model = record.model or model
            detections = [_detection(found, record, options) for found in record.boxed]
            images.append({"file": options.name(record), "detections": detections})

        yield write
        images.close()
        categories = {str(number): name for number, name in sorted(options.categories.names.items())}
        info = {"format_version": "1.4", "detector": model}
        file.write(f',\n"detection_categories": {json.dumps(categories)},\n"info": {json.dumps(info)}}}\n')


def _detection(found: Detection, record: Localization, options: AnnotationOptions) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = found.box_xyxy or (0.0,) * 4
    width, height = record.width, record.height
    box = (xmin / width, ymin / height, (xmax - xmin) / width, (ymax - ymin) / height)
    return {
        "category": str(options.categories.number(found)),
        "conf": round(found.score, 6),
        "bbox": [round(value, 6) for value in box],
    }
