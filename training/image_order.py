"""The order of training images: a function of the position, so that a run can go on from any step."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class ImageOrder:
    """The images of a training set, shuffled anew for each epoch, in full batches.

    The images of an epoch that do not fill a batch are left out, other images in each epoch.

    Args:
        images: the number of images.
        batch_size: the number of images in a batch.
        seed: the seed of the order.

    Raises:
        ValueError: there are fewer images than a batch has.

    Examples:
        >>> order = ImageOrder(images=7, batch_size=3, seed=0)
        >>> order.steps_per_epoch
        2
        >>> sorted({order.at(position) for position in range(6)}) == sorted(order.at(p) for p in range(6))
        True
    """

    images: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.images < self.batch_size:
            raise ValueError(
                f"`batch_size` must be at most the number of images, {self.images}. "
                f"Received: batch_size={self.batch_size}"
            )

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return self.images // self.batch_size

    def at(self, position: int) -> int:
        """The index of the image at a position, counted in images from the start of training."""
        epoch, place = divmod(position, self.steps_per_epoch * self.batch_size)
        return int(_permutation(self.images, self.seed, epoch)[place])


@lru_cache(maxsize=4)  # images of two epochs may be read at the same time
def _permutation(images: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(images)
