"""Whether the highest point of a map is on the object."""

from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_cam.metrics.image_metric import ImageMetric, value_or_nan
from keras_cam.metrics.numpy_function import numpy_function
from keras_cam.metrics.true_class import count_boxes, map_of_true_class, truth_of_true_class

TOLERANCE = 15.0
"""How many pixels beside an object still count as on it."""


@keras.saving.register_keras_serializable("keras_cam")
class PointingGame(ImageMetric):
    """The part of the images in which the true class's map is highest on an object of it, or close to one.

    The map is resized bilinearly to the image. Of equally high pixels the first one in the order of rows
    counts. The paper averages over categories; here every image weighs the same unless weighted.

    Args:
        image_size: (height, width) in pixels of images whose size `y_true` does not tell.
        tolerance: float, how many pixels beside the object's box still count.
        name: str.
        dtype: of the state.

    Update with:
        y_true: the dict of `keras_cam.metrics.true_class`, boxes as ymin, xmin, ymax, xmax in [0, 1]. They
            become pixels of each image's size in `sizes_wh`, else of `image_size`. Or boxes of the true class
            alone, (B, G, 4), xyxy in pixels of `image_size` with half-open maxima, padded with zeros. An
            image without a box of its true class does not count.
        y_pred: the output of a localizer, of which the map counts from which it cuts boxes, the refined one
            if it refines; an image without a row of its true class is wrong. Or maps of the true class alone,
            (B, h, w) or (B, 1, h, w).

    Raises:
        ValueError: `tolerance` is negative.

    Reference:
        Zhang et al., ECCV 2016, "Top-down Neural Attention by Excitation Backprop", section 4.1.

    Examples:
        >>> metric = PointingGame(image_size=(100, 100))
        >>> metric.update_state([[[80, 80, 100, 100]]], [[[0.0, 0.0], [0.0, 1.0]]])
        >>> float(metric.result())  # from the pixel (75, 75), the first of the highest, 4.5 pixels away
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

    def per_image(self, y_true: Any, y_pred: Any) -> Any:
        """1 for an image that is right, else 0; NaN for one without a box of its true class. float32 (B,)."""
        maps, found = map_of_true_class(y_true, y_pred)
        sizes_wh = sizes_of(y_true, maps, self.image_size)
        boxes = truth_of_true_class(y_true)
        if isinstance(y_true, dict):
            sizes = ops.cast(ops.tile(sizes_wh, (1, 2)), "float32")[:, None]
            boxes = ops.take(boxes, (1, 0, 3, 2), axis=-1) * sizes
        points_xy = numpy_function(_highest_points_xy, [maps, sizes_wh], (None, 2), "float32")
        hits = ops.logical_and(is_close(points_xy, boxes, self.tolerance), found)
        return value_or_nan(count_boxes(boxes) > 0, hits)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        config = {"image_size": self.image_size, "tolerance": self.tolerance}
        return {**super().get_config(), **config}


def sizes_of(y_true: Any, maps: Any, image_size_hw: tuple[int, int]) -> Any:
    """Width and height of each image, int32 (B, 2): `sizes_wh` of the ground truth, else the same for all.

    Examples:
        >>> sizes_of(None, ops.zeros((2, 7, 7)), (100, 200)).numpy().tolist()
        [[200, 100], [200, 100]]
    """
    if isinstance(y_true, dict) and "sizes_wh" in y_true:
        return ops.cast(y_true["sizes_wh"], "int32")
    return ops.tile(ops.convert_to_tensor([image_size_hw[::-1]], "int32"), (ops.shape(maps)[0], 1))


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


def _highest_points_xy(maps: np.ndarray, sizes_wh: np.ndarray) -> np.ndarray:
    points = [highest_point_xy(one, size) for one, size in zip(maps, sizes_wh, strict=True)]
    return np.reshape(points, (-1, 2))


def is_close(points_xy: Any, boxes_xyxy: Any, tolerance: float = TOLERANCE) -> Any:
    """Which points lie on a box of their image, or close to one.

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
    return ops.any(ops.logical_and(close, real), axis=1)
