"""Images that a data set keeps encoded inside of a larger file, decoded when they are asked for."""

from abc import ABC, abstractmethod

import numpy as np

from keras_cam.images.files import decode_image


class EncodedImage(ABC):
    """One image inside of a larger file.

    Attributes:
        name: its name, for errors.
    """

    __slots__ = ()
    name: str

    def read(self) -> np.ndarray:
        """The pixels, uint8 (H, W, 3), RGB, as `keras_cam.images.files.read_image` gives them.

        Raises:
            ImageError: the image cannot be decoded.
        """
        return decode_image(self.encoded(), self.name)

    @abstractmethod
    def encoded(self) -> bytes:
        """The image as the data set stores it."""
