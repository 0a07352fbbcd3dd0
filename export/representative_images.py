"""Images that show a quantizer what a network is going to see."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.images.files import ImageError, find_images, read_image
from keras_cam.images.resize import resize

MOST = 200
"""How many images are looked at: more do not change the ranges of activations."""


def representative_images(data: Any, size_hw: tuple[int, int]) -> np.ndarray:
    """Images of a given size from whatever holds some.

    Args:
        data: a folder of photos or a list of files, which are resized; an array (N, H, W, 3); or an iterable,
            such as a `tf.data.Dataset`, of images, batches of them, tuples that begin with these, or dicts
            that have them as "images". Pixels are RGB in 0..255.
        size_hw: the height and width that the images get; those in arrays must have them.

    Returns:
        float32 (N, H, W, 3), N at most `MOST`: of a folder evenly distributed ones, else the first.

    Raises:
        ValueError: there is no image, or one of another size.

    Examples:
        >>> pairs = [(np.zeros((2, 8, 8, 3), "uint8"), np.zeros(2))] * 3  # images and classes
        >>> representative_images(pairs, (8, 8)).shape
        (6, 8, 8, 3)
    """
    if isinstance(data, (str, Path)) or (isinstance(data, (list, tuple)) and _are_paths(data)):
        images = _read([data] if isinstance(data, (str, Path)) else data, size_hw)
    else:
        images = _single(data if isinstance(data, Iterable) else ())
    chosen = list(islice(images, MOST))
    if not chosen or any(image.shape != (*size_hw, 3) for image in chosen):
        received = f"images of shape {chosen[0].shape}" if chosen else f"no image in {data!r}"
        raise ValueError(
            "`representative_data` must be a folder of photos, or RGB images of shape "
            f"({size_hw[0]}, {size_hw[1]}, 3) in an array or a dataset; 100 are enough. Received: {received}"
        )
    return np.stack(chosen).astype(np.float32)


def _are_paths(values: Iterable[Any]) -> bool:
    return all(isinstance(value, (str, Path)) for value in values)


def _read(paths: Iterable[str | Path], size_hw: tuple[int, int]) -> Iterator[np.ndarray]:
    """The photos that can be read, resized."""
    files = find_images(paths)
    for index in np.linspace(0, len(files) - 1, min(len(files), MOST)).astype(int):
        try:
            yield resize(read_image(files[index]), size_hw)
        except ImageError:
            continue  # one broken file does not matter among a hundred


def _single(data: Iterable[Any]) -> Iterator[np.ndarray]:
    """The images in an array or a dataset, one by one."""
    for element in data:
        if isinstance(element, dict):
            element = element["images"]
        elif isinstance(element, tuple):
            element = element[0]
        images = np.asarray(element)
        yield from images if images.ndim == 4 else [images]
