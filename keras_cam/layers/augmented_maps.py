"""The same maps seen in several views of an image."""

from typing import Any

import keras
from keras import ops

from keras_cam.ops.area_resize import area_resize


@keras.saving.register_keras_serializable("keras_cam")
class ScaledImages(keras.layers.Layer):
    """Images at another size.

    Args:
        scale: float, the new height and width as a part of the old ones.

    Input shape:
        (B, H, W, C), float or integer pixels.

    Output shape:
        (B, scale * H, scale * W, C), bilinear.

    Examples:
        >>> ScaledImages(1.5)(ops.zeros((1, 32, 64, 3))).shape
        TensorShape([1, 48, 96, 3])
    """

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, images: Any) -> Any:
        size = [
            ops.cast(ops.round(self.scale * ops.cast(n, "float32")), "int32") for n in ops.shape(images)[1:3]
        ]
        return ops.image.resize(images, size)

    def compute_output_spec(self, images: Any) -> Any:
        size = [None if n is None else round(self.scale * n) for n in images.shape[1:3]]
        return keras.KerasTensor((images.shape[0], *size, images.shape[-1]), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("keras_cam")
class AugmentedMaps(keras.layers.Layer):
    """The mean of maps from several views of an image, on the grid of the first.

    Args:
        method: the name of the method that makes the maps of a view.

    Input shape:
        A list of maps (B, K, h, w).

    Output shape:
        (B, K, h, w) of the first.

    Examples:
        >>> import numpy as np
        >>> coarse, fine = np.ones((1, 1, 1, 1)), np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> AugmentedMaps("cam")([fine, coarse]).numpy().tolist()
        [[[[1.0, 1.5], [2.0, 2.5]]]]
    """

    map_kind = "augmented"

    def __init__(self, method: str, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.method = method

    @property
    def map_method(self) -> str:
        """The name of the method, with its prefix."""
        return f"augment:{self.method}"

    def call(self, views: list[Any]) -> Any:
        first, *others = views
        return (first + sum(_on_grid_of(first, one) for one in others)) / len(views)

    def compute_output_spec(self, views: list[Any]) -> Any:
        return keras.KerasTensor(views[0].shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "method": self.method}


def _on_grid_of(first: Any, maps: Any) -> Any:
    if first.shape[2:] == maps.shape[2:] and None not in first.shape[2:]:
        return maps
    batch, classes, *own_hw = ops.shape(maps)
    size_hw = ops.shape(first)[2:]
    images = ops.reshape(maps, (batch * classes, *own_hw, 1))
    return ops.reshape(area_resize(images, size_hw), (batch, classes, *size_hw))
