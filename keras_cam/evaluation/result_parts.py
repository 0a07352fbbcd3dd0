"""Results of images in files, a part of the data in each: many processes compute them, one adds them up."""

import base64
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.evaluation.results import ImageResult
from keras_cam.images.whole_file import whole_file

PART_SIZE = 512
"""How many images are in a part, about: whole batches, so that results do not depend on the parts."""

# What the images themselves say.
_NOT_STORED = ("image", "class_names")


@dataclass(frozen=True)
class ResultParts:
    """A folder with results of images.

    Attributes:
        folder: where the parts are. Those of other models and data may be there, too.
        key: what decides about results, besides the images and the batch size.
        slice: the number of this job, from 1, and of all jobs: each Nth part is computed and nothing added
            up. None: all parts are computed that are not there yet.
    """

    folder: Path
    key: str
    slice: tuple[int, int] | None = None

    def each(
        self,
        annotated: AnnotatedImages,
        batch_size: int,
        compute: Callable[[AnnotatedImages], Iterable[ImageResult | str]],
    ) -> Iterator[ImageResult | str]:
        """The results of all images of this job in order, from their parts or computed now.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        key = self._key(annotated, batch_size)
        size = max(1, PART_SIZE // batch_size) * batch_size
        starts = range(0, len(annotated), size)
        for start in starts if self.slice is None else starts[self.slice[0] - 1 :: self.slice[1]]:
            images = annotated[start : start + size]
            file = self.folder / f"results-{key}-{start:09}.json"
            results = _read(file, images)
            if results is None:
                results = list(compute(images))
                with whole_file(file) as unfinished:
                    unfinished.write_text(json.dumps([_to_json(result) for result in results]))
            yield from results

    def _key(self, annotated: AnnotatedImages, batch_size: int) -> str:
        digest = hashlib.sha256(f"{self.key}\n{batch_size}\n".encode())
        for image in annotated:
            what = (image.name, image.label, image.labels, image.size_wh, image.value_range)
            digest.update(repr(what).encode(errors="surrogateescape"))
            digest.update(image.boxes_xyxy.tobytes() + image.box_labels.tobytes())
        return digest.hexdigest()[:16]


def _read(file: Path, images: AnnotatedImages) -> list[ImageResult | str] | None:
    """The results in a part; None if there are none, or if it is broken."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads(file.read_text())
        pairs = zip(stored, images, strict=True)
        return [_from_json(result, image, images.class_names) for result, image in pairs]
    return None


def _to_json(result: ImageResult | str) -> Any:
    if isinstance(result, str):
        return result
    names = [field.name for field in fields(result) if field.name not in _NOT_STORED]
    return {name: _coded(getattr(result, name)) for name in names}


def _from_json(stored: Any, image: AnnotatedImage, class_names: tuple[str, ...]) -> ImageResult | str:
    if isinstance(stored, str):
        return stored
    return ImageResult(image, class_names, **{name: _decoded(value) for name, value in stored.items()})


def _coded(value: Any) -> Any:
    """What JSON can hold. Numbers and arrays come back to the last bit."""
    if not isinstance(value, np.ndarray):
        return value
    content = np.packbits(value) if value.dtype == bool else np.ascontiguousarray(value)
    coded = base64.b64encode(content.tobytes()).decode()
    return {"array": coded, "dtype": value.dtype.str, "shape": value.shape}


def _decoded(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        content, dtype = np.frombuffer(base64.b64decode(value["array"]), np.uint8), np.dtype(value["dtype"])
        if dtype.kind == "b":
            content = np.unpackbits(content, count=math.prod(value["shape"]))
        return content.view(dtype).reshape(value["shape"])
    return tuple(value) if isinstance(value, list) else value
