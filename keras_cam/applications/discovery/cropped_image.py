"""Part of an image, used like an image."""

from dataclasses import dataclass

import numpy as np

from keras_cam.data.annotated_images import AnnotatedImage
from keras_cam.inference.records import BoxXYXY


@dataclass(frozen=True, slots=True)
class CroppedImage:
    """The contents of a box, cut from the original pixels when it is read.

    Attributes:
        image: the whole image.
        box_xyxy: the box in pixels of the image, with half-open maxima.
        margin: what is added on each side, as a fraction of the box's width and height, up to the image's
            border.

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
        """Returns the pixels, uint8 (h, w, 3), h and w >= 1; raises `ImageError` if they cannot be read."""
        photo = self.image.read()
        xmin, ymin, xmax, ymax = self.box_xyxy
        beside, above = self.margin * (xmax - xmin), self.margin * (ymax - ymin)
        rows = _inside(ymin - above, ymax + above, photo.shape[0])
        columns = _inside(xmin - beside, xmax + beside, photo.shape[1])
        return photo[rows, columns]


def _inside(low: float, high: float, length: int) -> slice:
    start = min(max(round(low), 0), length - 1)
    return slice(start, max(min(round(high), length), start + 1))
