"""A part of an image, in place of the image."""

from dataclasses import dataclass

import numpy as np

from keras_cam.data.annotated_images import AnnotatedImage
from keras_cam.inference.records import BoxXYXY


@dataclass(frozen=True, slots=True)
class CroppedImage:
    """What is inside a box, cut from the original pixels when it is read.

    Attributes:
        image: the whole image.
        box_xyxy: the box in its pixels, half-open maxima.
        margin: how much wider the part is on each side, in widths and heights of the box. It ends where the
            image does.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
        ...     Image.new("RGB", (40, 30)).save(file.name)
        ...     photo = AnnotatedImage("photo", file.name, 0, (0,))
        ...     CroppedImage(photo, (10, 10, 20, 20)).read().shape
        ...     CroppedImage(photo, (10, 10, 20, 30), margin=0.5).read().shape
        (10, 10, 3)
        (30, 20, 3)
    """

    image: AnnotatedImage
    box_xyxy: BoxXYXY
    margin: float = 0.0

    def read(self) -> np.ndarray:
        """The pixels, uint8 (h, w, 3), at least one each way. An `ImageError` if they cannot be read."""
        photo = self.image.read()
        xmin, ymin, xmax, ymax = self.box_xyxy
        beside, above = self.margin * (xmax - xmin), self.margin * (ymax - ymin)
        rows = _inside(ymin - above, ymax + above, photo.shape[0])
        columns = _inside(xmin - beside, xmax + beside, photo.shape[1])
        return photo[rows, columns]


def _inside(low: float, high: float, length: int) -> slice:
    start = min(max(round(low), 0), length - 1)
    return slice(start, max(min(round(high), length), start + 1))
