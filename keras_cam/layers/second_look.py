"""A second look: from the maps of a whole image to windows, their crops, and the maps of both looks."""

from typing import Any

import keras
from keras import ops

from keras_cam.ops.boxes import boxes_from_maps
from keras_cam.ops.windows import crop_and_resize, paste

_WHOLE = (0.0, 0.0, 1.0, 1.0)

_LARGE = 0.25
"""The part of an image that a window must cover for the first map to count as much as the second.
In a smaller window it counts less, in proportion to the area."""


@keras.saving.register_keras_serializable("keras_cam")
class SecondLookWindows(keras.layers.Layer):
    """The parts of an image to look at again: the boxes of its first maps, enlarged.

    Args:
        looks: int, how many maps of an image have a window: the first ones.
        threshold: float in [0, 1), the fraction of a map's maximum that values in a box exceed.
        enlargement: float, by which a box is enlarged in each direction, within the image.

    Input shape:
        maps (B, K, h, w) in [0, 1].

    Output shape:
        float32 (B, min(looks, K), 4): ymin, xmin, ymax, xmax in [0, 1], each window at least as large as a
        cell of the map; the whole image for a map without a box.

    Examples:
        >>> import numpy as np
        >>> maps = np.zeros((1, 1, 4, 4), "float32")
        >>> maps[0, 0, 1, 2] = 1.0  # the surface falls to 0.5 half a cell from the node
        >>> SecondLookWindows(threshold=0.5, enlargement=2.0)(maps).numpy().tolist()
        [[[0.125, 0.375, 0.625, 0.875]]]
    """

    def __init__(
        self, looks: int = 1, threshold: float = 0.4, enlargement: float = 1.25, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.looks, self.threshold, self.enlargement = looks, threshold, enlargement

    def call(self, maps: Any) -> Any:
        boxes, found = (each[:, :, 0] for each in boxes_from_maps(maps[:, : self.looks], self.threshold))
        low, high = boxes[..., :2], boxes[..., 2:]
        cell = 1 / ops.cast(ops.stack(ops.shape(maps)[2:]), "float32")
        middle, side = (low + high) / 2, ops.maximum((high - low) * self.enlargement, cell)
        windows = ops.clip(ops.concatenate([middle - side / 2, middle + side / 2], axis=-1), 0.0, 1.0)
        return ops.where(ops.expand_dims(found, -1), windows, ops.convert_to_tensor(_WHOLE, "float32"))

    def compute_output_shape(self, maps_shape: Any) -> tuple:
        return (maps_shape[0], _looks(maps_shape[1], self.looks), 4)

    def get_config(self) -> dict[str, Any]:
        config = {"looks": self.looks, "threshold": self.threshold, "enlargement": self.enlargement}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("keras_cam")
class WindowCrops(keras.layers.Layer):
    """Cuts windows out of images and enlarges each to the size of the images.

    Input shape:
        images (B, H, W, C); windows (B, N, 4), see `SecondLookWindows`.

    Output shape:
        float32 (B * N, H, W, C).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, images: Any, windows: Any) -> Any:
        return crop_and_resize(ops.cast(images, "float32"), windows, ops.shape(images)[1:3])

    def compute_output_shape(self, images_shape: Any, windows_shape: Any) -> tuple:
        batch, windows = images_shape[0], windows_shape[1]
        return (None if None in (batch, windows) else batch * windows, *images_shape[1:])


@keras.saving.register_keras_serializable("keras_cam")
class SecondLookMaps(keras.layers.Layer):
    """The weighted mean of the maps of both looks: in each window, and in the whole image.

    In a window of at least a quarter of the image, both count alike. In smaller ones, the first map, whose
    cells are coarse there, counts less, in proportion to the area of the window.

    Args:
        factor: int, how many times finer the maps of whole images become, so that they show small objects.

    Input shape:
        The first maps (B, K, h, w) in [0, 1]; windows (B, N, 4) of the first N of them; and the maps of the
        windows (B * N, 1, h, w).

    Output shape:
        A list of three:

        - maps of whole images (B, K, factor * h, factor * w): inside a window the weighted mean of both
          looks, elsewhere the first maps.
        - the maps from which boxes are computed (B, K, h, w): the weighted mean of both looks on the grid of
          the window; for the others the first maps.
        - their windows (B, K, 4), that of the others the whole image.
    """

    def __init__(self, factor: int = 4, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.factor = factor

    def call(self, maps: Any, windows: Any, second: Any) -> list[Any]:
        batch, classes, height, width = ops.shape(maps)
        looks = ops.shape(windows)[1]
        others = ops.zeros_like(maps[:, looks:, 0, :1]) + ops.convert_to_tensor(_WHOLE, "float32")
        everywhere = ops.concatenate([windows, others], axis=1)
        second = ops.reshape(second, (batch, looks, height, width))
        flat = (batch * classes, height, width)
        fine_hw = (self.factor * height, self.factor * width)
        again = ops.concatenate([second, maps[:, looks:]], axis=1)
        boxes = ops.reshape(everywhere, (batch * classes, 4))
        whole = ops.zeros_like(boxes) + ops.convert_to_tensor(_WHOLE, "float32")
        first = ops.reshape(maps, (*flat, 1))
        weight = _weight_of_the_first_look(boxes)
        fine = ops.squeeze(crop_and_resize(first, ops.expand_dims(whole, 1), fine_hw), -1)
        pasted, inside = paste(ops.reshape(again, flat), boxes, fine_hw)
        merged = fine + inside * (1 - weight) * (pasted - fine)
        shown = ops.squeeze(crop_and_resize(first, ops.expand_dims(boxes, 1), (height, width)), -1)
        cut = weight * shown + (1 - weight) * ops.reshape(again, flat)
        return [
            ops.reshape(merged, (batch, classes, *fine_hw)),
            ops.reshape(cut, (batch, classes, height, width)),
            everywhere,
        ]

    def compute_output_shape(self, maps_shape: Any, windows_shape: Any, second_shape: Any) -> list[tuple]:
        batch, classes, *size_hw = maps_shape
        fine_hw = [None if side is None else self.factor * side for side in size_hw]
        return [(batch, classes, *fine_hw), tuple(maps_shape), (batch, classes, 4)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def _looks(classes: int | None, looks: int) -> int | None:
    return None if classes is None else min(classes, looks)


def _weight_of_the_first_look(windows: Any) -> Any:
    """Its weight in windows (M, 4), from 0 to 1/2, as (M, 1, 1)."""
    height, width = windows[:, 2] - windows[:, 0], windows[:, 3] - windows[:, 1]
    return ops.reshape(0.5 * ops.minimum(height * width / _LARGE, 1.0), (-1, 1, 1))
