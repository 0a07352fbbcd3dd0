"""Hide-and-Seek: hide patches of training images, so that the network learns all parts of an object."""

from typing import Any

import keras
from keras import ops

# The mean pixel of ImageNet.
_MEAN_PIXEL = (123.675, 116.28, 103.53)


@keras.saving.register_keras_serializable("keras_cam")
class HideAndSeek(keras.layers.Layer):
    """Hides each patch of a grid with a given probability, in training.

    Args:
        probability: float in [0, 1), the probability with which each patch is hidden.
        grid: int, the number of patches along each side of the image.
        seed: int, the seed of a layer within a model.

    Input shape:
        Pixels in 0..255, (B, H, W, 3).

    Output shape:
        The same as the input; hidden patches have the mean pixel of ImageNet.

    Reference:
        Singh, Lee, "Hide-and-Seek: Forcing a Network to be Meticulous for Weakly-supervised Object and
        Action Localization", ICCV 2017, section 3.1.

    Examples:
        >>> import numpy as np
        >>> images = HideAndSeek(0.5, grid=2, seed=1)(np.zeros((1, 4, 4, 3)), training=True)
        >>> (images.numpy()[0, :, :, 0] > 0).astype(int).tolist()
        [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    """

    def __init__(
        self, probability: float = 0.5, grid: int = 4, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= probability < 1 or grid < 1:
            raise ValueError(
                "`probability` must be in [0, 1) and `grid` at least 1. "
                f"Received: probability={probability!r}, grid={grid!r}"
            )
        self.probability = probability
        self.grid = grid
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        """Draw which patches are hidden, bool (B, grid, grid)."""
        shape = (ops.shape(images)[0], self.grid, self.grid)
        return keras.random.uniform(shape, seed=seed or self.seed_generator) < self.probability

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """Hide patches of images."""
        height, width = images.shape[1:3]
        rows, columns = (ops.arange(size) * self.grid // size for size in (height, width))
        hidden = ops.take(ops.take(transformation, rows, axis=1), columns, axis=2)[..., None]
        return ops.where(hidden, ops.cast(_MEAN_PIXEL, images.dtype), images)

    def call(self, images: Any, training: bool = False) -> Any:
        """Hide patches at random if `training`."""
        images = ops.convert_to_tensor(images)
        if not training:
            return images
        return self.transform_images(images, self.get_random_transformation(images))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "probability": self.probability, "grid": self.grid, "seed": self.seed}
