"""Encoded images inside a larger file, decoded on demand."""

from abc import ABC, abstractmethod

import numpy as np

from keras_cam.images.files import decode_image


class EncodedImage(ABC):
    """One encoded image inside a larger file.

    Attributes:
        name: its name, for errors.
    """

    __slots__ = ()
    name: str

    def read(self) -> np.ndarray:
        """Returns the pixels, uint8 (H, W, 3), RGB, decoded as by `keras_cam.images.files.read_image`.

        Raises:
            ImageError: if the image cannot be decoded.
        """
        return decode_image(self.encoded(), self.name)

    @abstractmethod
    def encoded(self) -> bytes:
        """Returns the encoded image, for instance as JPEG."""
