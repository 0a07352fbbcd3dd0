"""Whether the highest point of a map is on the object."""

from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_cam.metrics.mergeable import Mergeable

TOLERANCE = 15.0
"""The pixels beside an object that still count as on it."""


@keras.saving.register_keras_serializable("keras_cam")
class PointingGame(Mergeable, keras.metrics.Mean):
    """The part of the maps whose highest point is on an object of the class, or close to it.

    The map is resized bilinearly to the image. Of equally high pixels the first one in the order of rows
    counts. The paper averages this over categories; here every image weighs the same unless weighted.

    Args:
        image_size: (height, width) in pixels.
        tolerance: float, how many pixels beside the object's box still count.
        name: str.
        dtype: of the state.

    Update with:
        y_true: (B, G, 4) boxes of the class, xyxy in pixels with half-open maxima, padded with zeros.
        y_pred: (B, h, w) or (B, 1, h, w), raw maps of the class.

    Reference:
        Zhang et al., ECCV 2016, "Top-down Neural Attention by Excitation Backprop", section 4.1.

    Examples:
        >>> metric = PointingGame(image_size=(100, 100))
        >>> metric.update_state([[[80, 80, 100, 100]]], [[[0.0, 0.0], [0.0, 1.0]]])
        >>> float(metric.result())  # from (75, 75), the first of the highest pixels, 4.5 pixels away
        1.0
    """

    def __init__(
        self,
        image_size: tuple[int, int] = (224, 224),
        tolerance: float = TOLERANCE,
        name: str = "pointing_game",
        dtype: Any = "float64",
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if tolerance < 0:
            raise ValueError(f"`tolerance` must not be negative. Received: tolerance={tolerance}")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.tolerance = tolerance

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the images of a batch; `sample_weight` (B,) counts some for more than others."""
        hits = is_close(self._highest_points_xy(one_map_an_image(y_pred)), y_true, self.tolerance)
        super().update_state(ops.cast(hits, "float32"), sample_weight)

    def _highest_points_xy(self, maps: Any) -> Any:
        height, width = self.image_size
        resized = ops.image.resize(
            ops.cast(maps, "float32")[..., None],
            self.image_size,
            interpolation="bilinear",
            data_format="channels_last",
        )
        highest = ops.argmax(ops.reshape(resized, (-1, height * width)), axis=1)
        return ops.cast(ops.stack([highest % width, highest // width], axis=-1), "float32") + 0.5

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        config = {"image_size": self.image_size, "tolerance": self.tolerance}
        return {**super().get_config(), **config}


def highest_point_xy(activation_map: ArrayLike, image_size_wh: tuple[int, int]) -> tuple[float, float]:
    """Where one map is highest, as `PointingGame` looks for it: the centre of a pixel of the image.

    Args:
        activation_map: (h, w), raw.
        image_size_wh: (width, height) of the image.

    Examples:
        >>> highest_point_xy([[0.0, 0.0], [0.0, 1.0]], image_size_wh=(100, 100))
        (75.5, 75.5)
    """
    width, height = (int(side) for side in image_size_wh)
    resized = cv2.resize(np.asarray(activation_map, "float32"), (width, height))
    y, x = divmod(int(resized.argmax()), width)
    return x + 0.5, y + 0.5


def is_close(points_xy: Any, boxes_xyxy: Any, tolerance: float = TOLERANCE) -> Any:
    """Which points lie on a box of their image, or close to it.

    Args:
        points_xy: (B, 2) in pixels.
        boxes_xyxy: (B, G, 4) in pixels with half-open maxima, padded with zeros.
        tolerance: float, how many pixels beside a box still count.

    Returns:
        bool (B,).

    Examples:
        >>> is_close([[75.5, 75.5]], [[[80, 80, 100, 100]]]).numpy().tolist()
        [True]
    """
    points, boxes = ops.cast(points_xy, "float32")[:, None], ops.cast(boxes_xyxy, "float32")
    beside = ops.maximum(ops.relu(boxes[..., :2] - points), ops.relu(points - boxes[..., 2:]))
    close = ops.sum(beside**2, axis=-1) <= tolerance**2
    real = ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
    return ops.any(close & real, axis=1)


def one_map_an_image(maps: Any) -> Any:
    """Maps (B, h, w), from those or from (B, 1, h, w).

    Raises:
        ValueError: several maps an image.

    Examples:
        >>> one_map_an_image([[[[1.0, 2.0]]]]).shape
        TensorShape([1, 1, 2])
    """
    maps = ops.convert_to_tensor(maps)
    if len(maps.shape) == 4 and maps.shape[1] == 1:
        maps = maps[:, 0]
    if len(maps.shape) != 3:
        raise ValueError(
            f"There must be one map an image: (B, h, w) or (B, 1, h, w). Received: shape {tuple(maps.shape)}"
        )
    return maps
