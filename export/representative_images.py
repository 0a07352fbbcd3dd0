"""Calibration images for quantization."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.images.files import ImageError, find_images, read_reduced
from keras_cam.images.resize import resize

MOST = 200
"""The maximum number of calibration images; more do not change the ranges of activations."""


def representative_images(data: Any, size_hw: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Read calibration images from files, an array or a dataset.

    Args:
        data: a folder of photos or a list of files, which are resized; an array (N, H, W, C); or an iterable,
            such as a `tf.data.Dataset`, of images, batches of images, tuples whose first element is one of
            these, or dicts with the key "images".
        size_hw: the height and width of the result; images that do not come from files must have this size.
        channels: C: 3 for RGB in 0..255; otherwise what the model takes.

    Returns:
        float32 (N, H, W, C), N at most `MOST`: evenly spaced files, or the first images of an iterable.

    Raises:
        ValueError: there is no image, or an image has another size.

    Examples:
        >>> pairs = [(np.zeros((2, 8, 8, 3), "uint8"), np.zeros(2))] * 3  # images and classes
        >>> representative_images(pairs, (8, 8)).shape
        (6, 8, 8, 3)
    """
    if isinstance(data, (str, Path)) or (isinstance(data, (list, tuple)) and _are_paths(data)):
        images = _read([data] if isinstance(data, (str, Path)) else data, size_hw, channels)
    else:
        images = _single(data if isinstance(data, Iterable) else ())
    chosen = list(islice(images, MOST))
    if not chosen or any(image.shape != (*size_hw, channels) for image in chosen):
        received = f"images of shape {chosen[0].shape}" if chosen else f"no image in {data!r}"
        raise ValueError(
            "`representative_data` must be a folder of photos, or images of shape "
            f"({size_hw[0]}, {size_hw[1]}, {channels}) in an array or a dataset; 100 are enough. "
            f"Received: {received}"
        )
    return np.stack(chosen).astype(np.float32)


def _are_paths(values: Iterable[Any]) -> bool:
    return all(isinstance(value, (str, Path)) for value in values)


def _read(paths: Iterable[str | Path], size_hw: tuple[int, int], channels: int) -> Iterator[np.ndarray]:
    """The photos that can be read, resized."""
    files = find_images(paths)
    for index in np.linspace(0, len(files) - 1, min(len(files), MOST)).astype(int):
        try:
            yield resize(read_reduced(files[index], size_hw, channels).pixels, size_hw)
        except ImageError:
            continue  # calibration does not need every file


def _single(data: Iterable[Any]) -> Iterator[np.ndarray]:
    """The images in an array or a dataset, one by one."""
    for element in data:
        if isinstance(element, dict):
            element = element["images"]
        elif isinstance(element, tuple):
            element = element[0]
        images = np.asarray(element)
        yield from images if images.ndim == 4 else [images]
