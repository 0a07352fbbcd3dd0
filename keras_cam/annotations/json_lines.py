"""Records as JSON, one object a line."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_cam.annotations.options import AnnotationOptions
from keras_cam.images.whole_file import whole_file
from keras_cam.inference.records import Localization


@contextmanager
def json_lines_writer(path: Path, options: AnnotationOptions) -> Iterator[Callable[[Localization], None]]:
    """Write `Localization.to_dict` of each record, as `keras-cam localize --json` prints it."""
    with whole_file(path) as unfinished, open(unfinished, "w", encoding="ascii") as file:

        def write(record: Localization) -> None:
            file.write(json.dumps(record.to_dict(options.masks)) + "\n")

        yield write
