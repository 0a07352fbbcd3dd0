"""What a second look sees: windows of photos, cut out of the photos themselves."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_cam.images.files import without_warnings
from keras_cam.images.processors import usable_processors
from keras_cam.images.resize import resize

CropPhotos = Callable[[np.ndarray], np.ndarray]
"""From windows (B, N, 4), ymin, xmin, ymax, xmax in [0, 1] of B photos, to crops float32 (B * N, H, W, C)."""


def photo_crops(reads: Sequence[Callable[[], np.ndarray]], size_hw: tuple[int, int]) -> CropPhotos:
    """A function that cuts windows out of photos, which it reads when it is called.

    Args:
        reads: for each photo a function that returns its pixels, (H, W, C), in full resolution.
        size_hw: the height and width of the crops.

    Examples:
        >>> half_dark = np.concatenate([np.zeros((40, 20, 3)), np.full((40, 20, 3), 9.0)], axis=1)
        >>> crop = photo_crops([lambda: half_dark], (8, 8))
        >>> crop(np.array([[[0, 0, 1, 0.5], [0, 0.5, 1, 1]]]))[:, 0, 4, 0].tolist()
        [0.0, 9.0]
    """

    def crops_of(read: Callable[[], np.ndarray], windows: np.ndarray) -> list[np.ndarray]:
        with without_warnings():  # the same as when the photo was read before
            photo = read()
        return [resize(photo, size_hw, window) for window in windows]

    def crop(windows: np.ndarray) -> np.ndarray:
        with ThreadPoolExecutor(usable_processors()) as pool:
            return np.concatenate(list(pool.map(crops_of, reads, windows)))

    return crop
