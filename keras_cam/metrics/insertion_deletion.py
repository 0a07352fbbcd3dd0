"""How fast the probability falls when important pixels are deleted first, or rises when they appear first."""

from collections.abc import Iterator
from typing import Any, Literal

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from keras_cam.metrics.mergeable import Mergeable

# The blurred image in which pixels appear: kernel size and standard deviation of the released code.
_BLUR_SIZE, _BLUR_SIGMA = (11, 11), 5.0


def pixel_ranks(activation_map: ArrayLike, size_hw: tuple[int, int]) -> NDArray[np.int64]:
    """The rank of each pixel of the bilinearly resized map, 0 for the highest; equal pixels in their order.

    Args:
        activation_map: (h, w), raw.
        size_hw: (height, width) in pixels.

    Returns:
        int64 (height, width), a permutation.

    Examples:
        >>> pixel_ranks([[1.0, 3.0, 3.0]], (1, 3)).tolist()
        [[2, 0, 1]]
    """
    height, width = size_hw
    resized = cv2.resize(np.asarray(activation_map, "float64"), (width, height))
    order = np.argsort(-resized.ravel(), kind="stable")
    ranks = np.empty(height * width, np.int64)
    ranks[order] = np.arange(height * width)
    return ranks.reshape(height, width)


def perturbed_images(
    image: ArrayLike,
    activation_map: ArrayLike,
    mode: Literal["insertion", "deletion"],
    steps: int = 224,
    baseline: ArrayLike = 0.0,
) -> Iterator[NDArray[np.float32]]:
    """Yield the images of the insertion or the deletion game, one at a time, `steps + 1` in all.

    Deletion: from the image to the baseline. Insertion: from the blurred image (Gaussian, 11 pixels,
    sigma 5) to the image. Each step takes an equal number of pixels, most important first.

    Args:
        image: (H, W, C) pixels as the classifier takes them.
        activation_map: (h, w), raw.
        mode: "insertion" or "deletion".
        steps: int. With 224, each step changes as many pixels of a 224x224 image as one of its rows has.
        baseline: the value of deleted pixels; broadcasts to the image. The paper's zero is the mean colour of
            normalized pixels. For raw pixels pass the mean colour that the classifier subtracts.

    Yields:
        float32 (H, W, C).

    Raises:
        ValueError: an unknown mode, or less than one step.

    Reference:
        Petsiuk et al., BMVC 2018, "RISE", section 4.1, and its released code.

    Examples:
        >>> game = perturbed_images([[[5.0], [9.0]]], [[1.0, 2.0]], "deletion", steps=2)
        >>> [image.ravel().tolist() for image in game]
        [[5.0, 9.0], [5.0, 0.0], [0.0, 0.0]]
    """
    if mode not in ("insertion", "deletion"):
        raise ValueError(f'`mode` must be "insertion" or "deletion". Received: mode={mode!r}')
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1. Received: steps={steps}")
    pixels = np.asarray(image, "float32")
    ranks = pixel_ranks(activation_map, pixels.shape[:2])[..., None]
    if mode == "deletion":
        start, end = pixels, np.broadcast_to(np.asarray(baseline, "float32"), pixels.shape)
    else:
        start, end = cv2.GaussianBlur(pixels, _BLUR_SIZE, _BLUR_SIGMA).reshape(pixels.shape), pixels
    for step in range(steps + 1):
        yield np.where(ranks < step * ranks.size // steps, end, start)


@keras.saving.register_keras_serializable("keras_cam")
class DeletionAUC(Mergeable, keras.metrics.Mean):
    """The mean area under the probability while the important pixels are deleted. Low is good.

    The curve is integrated by trapezoids over the part of the pixels, 0 to 1.

    Args:
        name: str.
        dtype: of the state.

    Update with:
        y_true: (B,) integers, the explained classes.
        y_pred: (B, S + 1, N), the classifier's probabilities on the images of `perturbed_images`, in order.

    Reference:
        Petsiuk et al., BMVC 2018, "RISE", section 4.1.

    Examples:
        >>> metric = DeletionAUC()
        >>> metric.update_state([1], [[[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, name: str = "deletion_auc", dtype: Any = "float64") -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the images of a batch; `sample_weight` (B,) counts some for more than others."""
        curves = class_probabilities(y_true, ops.convert_to_tensor(y_pred, self.dtype))
        area = ops.mean((curves[:, 1:] + curves[:, :-1]) / 2, axis=1)
        super().update_state(area, sample_weight)


@keras.saving.register_keras_serializable("keras_cam")
class InsertionAUC(DeletionAUC):
    """The mean area under the probability while the important pixels appear. High is good.

    Arguments and inputs are those of `DeletionAUC`.

    Reference:
        Petsiuk et al., BMVC 2018, "RISE", section 4.1.

    Examples:
        >>> metric = InsertionAUC()
        >>> metric.update_state([0], [[[0.0], [1.0], [1.0]]])
        >>> float(metric.result())
        0.75
    """

    def __init__(self, name: str = "insertion_auc", dtype: Any = "float64") -> None:
        super().__init__(name=name, dtype=dtype)


def class_probabilities(class_ids: Any, probabilities: Any) -> Any:
    """The probability (B, S) of each image's class, from those of all classes, (B, S, N).

    Raises:
        ValueError: `probabilities` has another number of dimensions.

    Examples:
        >>> class_probabilities([1], [[[0.25, 0.75], [0.5, 0.5]]]).numpy().tolist()
        [[0.75, 0.5]]
    """
    probabilities = ops.convert_to_tensor(probabilities)
    if len(probabilities.shape) != 3:
        raise ValueError(
            "Probabilities must be (B, S, N): images, steps, classes. "
            f"Received: shape {tuple(probabilities.shape)}"
        )
    ids = ops.reshape(ops.cast(class_ids, "int32"), (-1, 1, 1))
    steps = ops.shape(probabilities)[1]
    return ops.take_along_axis(probabilities, ops.tile(ids, (1, steps, 1)), axis=2)[..., 0]
