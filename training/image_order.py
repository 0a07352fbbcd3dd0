"""Which image comes when: a function of the position alone, so that a run can go on from anywhere."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class ImageOrder:
    """The images of a training set, shuffled anew for each epoch, in full batches.

    Of each epoch's images those beyond the last full batch are left out; the next epoch leaves out others.

    Args:
        images: how many images there are.
        batch_size: how many a batch has.
        seed: another one, another order.

    Raises:
        ValueError: if there are fewer images than a batch has.

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
        """How many batches an epoch has."""
        return self.images // self.batch_size

    def at(self, position: int) -> int:
        """The index of the image at a position, which is counted in images from the start of training."""
        epoch, place = divmod(position, self.steps_per_epoch * self.batch_size)
        return int(_permutation(self.images, self.seed, epoch)[place])


@lru_cache(maxsize=4)  # an epoch's last images may still be read when the next one's first are
def _permutation(images: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(images)
