"""Class-specific units: the images that activate each unit, and the units that count most for a class."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from keras_cam.check_finite import check_finite
from keras_cam.graph.classification_head import find_classification_head
from keras_cam.images.batches import read_batches
from keras_cam.images.files import find_images, read_reduced
from keras_cam.images.resize import input_size_hw, resize
from keras_cam.layers import ClassActivationHead

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class UnitImages:
    """The images that activate each of U units most.

    Attributes:
        files: all image files that were given.
        scores: float32 (U, T), the highest activation of the unit in each image, best first; -inf where there
            are fewer than T images.
        images: int64 (U, T), indices of the images in `files`.
        maps: float32 (U, T, h, w), the activations of the unit in each image.
        deviations: float32 (U,), the standard deviation of the unit's mean activation over all images.
        failures: an error message for each file that could not be read.
    """

    files: tuple[str, ...]
    scores: np.ndarray
    images: np.ndarray
    maps: np.ndarray
    deviations: np.ndarray
    failures: tuple[str, ...] = ()


def find_unit_images(
    backbone: "keras.Model",
    paths: Iterable[str | Path],
    top: int = 5,
    batch_size: int = 32,
    on_image: Callable[[], None] = lambda: None,
) -> UnitImages:
    """Find the images that activate each unit most.

    Memory does not grow with the number of images, as only the best ones of each unit are kept.

    Args:
        backbone: see `keras_cam.applications.features.backbone_of`; its channels are the units.
        paths: image files, and folders, which are searched for images.
        top: int, the number of images that are kept for each unit.
        batch_size: the number of images in a batch.
        on_image: called after each image.

    Returns:
        The images of all units. Images with equal scores are in their original order.

    Raises:
        ValueError: if `top` or `batch_size` is less than 1.

    Reference:
        Zhou et al., CVPR 2016, section 5. Zhou et al., Object Detectors Emerge in Deep Scene CNNs, ICLR 2015.

    Examples:
        >>> from skimage import data_dir
        >>> import keras_cam
        >>> from keras_cam.applications.features import backbone_of
        >>> backbone = backbone_of(keras_cam.build_model("efficientnet_lite0", weights="imagenet"))
        >>> found = find_unit_images(backbone, [f"{data_dir}/chelsea.png", f"{data_dir}/rocket.jpg"], top=1)
        >>> found.scores.shape, found.maps.shape
        ((1280, 1), (1280, 1, 7, 7))
    """
    if top < 1 or batch_size < 1:
        raise ValueError(
            f"`top` and `batch_size` must be at least 1. Received: top={top!r}, batch_size={batch_size!r}"
        )
    files = tuple(str(path) for path in find_images(paths))
    size_hw = input_size_hw(backbone.inputs[0].shape)
    _, rows, columns, units = backbone.compute_output_shape((1, *size_hw, 3))
    best = UnitImages(
        files,
        np.full((units, top), -np.inf, np.float32),
        np.full((units, top), -1, np.int64),
        np.zeros((units, top, rows, columns), np.float32),
        np.zeros(units, np.float32),
    )
    failures: list[str] = []
    # The number of images, the sum of their means, and the sum of the squares of their means.
    moments = np.zeros((3, units))
    for batch in read_batches(
        lambda index: read_reduced(files[index], size_hw), len(files), size_hw, batch_size
    ):
        good = batch.readable
        failures += filter(None, batch.errors)
        if good.any():
            maps = np.moveaxis(backbone.predict_on_batch(batch.images[good]), -1, 0)
            check_finite({"features": maps})
            _keep_best(best, maps.astype(np.float32), np.array(batch.index)[good])
            means = maps.mean(axis=(2, 3), dtype=np.float64)
            moments += [np.full(units, good.sum()), means.sum(axis=1), (means**2).sum(axis=1)]
        for _ in good:
            on_image()
    mean, mean_square = moments[1:] / np.maximum(moments[0], 1)
    deviations = np.sqrt(np.maximum(mean_square - mean**2, 0)).astype(np.float32)
    return replace(best, deviations=deviations, failures=tuple(failures))


def _keep_best(best: UnitImages, maps: np.ndarray, index: np.ndarray) -> None:
    """Insert the maps (U, B, h, w) of a batch that are among the best ones of their unit."""
    top = best.scores.shape[1]
    scores = np.concatenate([best.scores, maps.max(axis=(2, 3))], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    changed = (order >= top).any(axis=1)
    order, scores = order[changed], scores[changed]
    images = np.concatenate([best.images[changed], np.tile(index, (changed.sum(), 1))], axis=1)
    all_maps = np.concatenate([best.maps[changed], maps[changed]], axis=1)
    best.scores[changed] = np.take_along_axis(scores, order, axis=1)
    best.images[changed] = np.take_along_axis(images, order, axis=1)
    best.maps[changed] = np.take_along_axis(all_maps, order[:, :, None, None], axis=1)


def class_units(
    model: "keras.Model", class_id: int, count: int = 5, deviations: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the units that contribute most to a class, by weight or by effect.

    Weights are comparable if all units are about equally active, as in a network that was trained as a whole.
    In a linear SVM on features, a unit that is hardly ever active may have the highest weight.

    Args:
        model: a classifier whose logits are linear in global average pooling.
        class_id: the class.
        count: the number of units.
        deviations: (U,) `UnitImages.deviations`, to rank units by effect: their weight times their deviation,
            which is the standard deviation of what the unit adds to the logit of the class.

    Returns:
        `(units, weights)`: int (count,), best first, and float32 (count,).

    Raises:
        ValueError: if the model is not such a classifier, or has no such class.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
        >>> units, weights = class_units(model, 285, 3)
        >>> bool((np.diff(weights) <= 0).all())
        True
    """
    kernel, _ = ClassActivationHead(find_classification_head(model).classifier).affine()
    classes = kernel.shape[-1]
    if not 0 <= class_id < classes:
        raise ValueError(f"`class_id` must be in [0, {classes}). Received: class_id={class_id!r}")
    weights = np.asarray(kernel)[:, class_id]
    effects = weights if deviations is None else weights * deviations
    units = np.argsort(-effects, kind="stable")[:count]
    return units, weights[units]


def segmented_patch(photo: np.ndarray, unit_map: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Return a square part of a photo around the region that activates a unit, with the rest darkened.

    Args:
        photo: uint8 (H, W, 3), RGB.
        unit_map: float (h, w), the unit's activations in the photo.
        threshold: float in [0, 1). The region is where activations exceed this fraction of the highest one,
            and connected with the position of the highest one.

    Returns:
        uint8 (S, S, 3), where S is the longer side of the region.

    Examples:
        >>> unit_map = np.zeros((4, 4), np.float32)
        >>> unit_map[1, 2] = 1
        >>> segmented_patch(np.full((64, 64, 3), 200, np.uint8), unit_map).shape
        (16, 16, 3)
    """
    height, width = photo.shape[:2]
    surface = cv2.resize(unit_map.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    _, labels = cv2.connectedComponents(
        (surface > threshold * surface.max()).astype(np.uint8), connectivity=4
    )
    region = labels == labels.flat[surface.argmax()]
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    side = min(max(np.ptp(rows), np.ptp(columns)) + 1, height, width)
    top = _start(rows.mean(), side, height)
    left = _start(columns.mean(), side, width)
    view = np.s_[top : top + side, left : left + side]
    return np.where(region[view][..., None], photo[view], photo[view] // 4)


def _start(centre: float, side: int, length: int) -> int:
    return int(min(max(round(centre - side / 2), 0), length - side))


def receptive_field(
    backbone: "keras.Model", unit: int, photos: Sequence[np.ndarray], positions: int = 12
) -> tuple[np.ndarray, float]:
    """Measure the empirical receptive field of a unit by occlusion.

    A patch of the photo's mean colour, with a sixth of its side, is moved over the photo. The receptive field
    is where the patch lowers the highest activation. These losses are shifted to move the position of the
    highest activation to the centre, and averaged over photos.

    Args:
        backbone: see `keras_cam.applications.features.backbone_of`.
        unit: the channel of its features.
        photos: uint8 (H, W, 3) each, of any size: those that activate the unit most.
        positions: int, the number of positions of the patch in each direction.

    Returns:
        `(field, size)`. `field` is float32 (height, width), the input size of the backbone: the mean loss
        divided by its maximum. `size` is the side of a square with the same area as the part of `field` above
        0.5, as a fraction of the image's side; 0 for a unit that is never active.

    Reference:
        Zhou et al., Object Detectors Emerge in Deep Scene CNNs, ICLR 2015, section 3.2.
    """
    height, width = input_size_hw(backbone.inputs[0].shape)
    total = np.zeros((height, width), np.float32)
    for photo in photos:
        losses, place_yx = _losses(backbone, unit, resize(photo, (height, width)), positions)
        surface = cv2.resize(losses, (width, height), interpolation=cv2.INTER_LINEAR)
        shift = np.array([[1, 0, width / 2 - place_yx[1]], [0, 1, height / 2 - place_yx[0]]], np.float32)
        total += cv2.warpAffine(surface, shift, (width, height))
    peak = total.max()
    field = total / peak if peak > 0 else total
    return field, float(np.sqrt((field > 0.5).mean()))


def _losses(
    backbone: "keras.Model", unit: int, photo: np.ndarray, positions: int
) -> tuple[np.ndarray, tuple[float, float]]:
    """How much each occlusion lowers the unit's highest activation; and the position (y, x) of the latter."""
    height, width = photo.shape[:2]
    whole = backbone.predict_on_batch(photo[None])[0, :, :, unit]
    row, column = np.unravel_index(whole.argmax(), whole.shape)
    mean, half = photo.mean(axis=(0, 1)), max(height, width) / 12
    centres = [(np.arange(positions) + 0.5) * size / positions for size in (height, width)]
    occluded = np.tile(photo, (positions**2, 1, 1, 1))
    for image, (y, x) in zip(occluded, product(*centres), strict=True):
        image[max(round(y - half), 0) : round(y + half), max(round(x - half), 0) : round(x + half)] = mean
    # A row of occlusions at once.
    left = [backbone.predict_on_batch(part)[:, row, column, unit] for part in np.split(occluded, positions)]
    losses = np.maximum(whole[row, column] - np.concatenate(left), 0).astype(np.float32)
    place_yx = ((row + 0.5) * height / whole.shape[0], (column + 0.5) * width / whole.shape[1])
    return losses.reshape(positions, positions), place_yx
