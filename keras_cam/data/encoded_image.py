"""Images that a data set keeps encoded, decoded by TensorFlow when they are asked for."""

from abc import ABC, abstractmethod

import numpy as np

from keras_cam.images import ImageError


class EncodedImage(ABC):
    """One image inside of a larger file.

    Attributes:
        name: its name, for errors.
    """

    __slots__ = ()
    name: str

    def read(self) -> np.ndarray:
        """The pixels as TensorFlow decodes them, uint8 (H, W, 3), RGB.

        Raises:
            ImageError: if they cannot be decoded.
        """
        import tensorflow as tf

        try:
            return tf.io.decode_image(self.encoded(), channels=3, expand_animations=False).numpy()
        except tf.errors.InvalidArgumentError as error:
            raise ImageError(self.name, error.message) from error

    @abstractmethod
    def encoded(self) -> bytes:
        """The image as the data set stores it."""
