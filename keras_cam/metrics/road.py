"""ROAD: accuracy after pixels were removed in such a way that the shape of the removed part does not show."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from keras_cam.metrics.insertion_deletion import pixel_ranks
from keras_cam.metrics.mergeable import Mergeable

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

# A removed pixel is the mean of its neighbours; those at a side weigh twice as much as those at a corner.
_WEIGHTS = {(-1, -1): 1 / 12, (-1, 0): 1 / 6, (-1, 1): 1 / 12, (0, -1): 1 / 6}


def impute_linearly(
    image: ArrayLike, removed: ArrayLike, noise: float = 2.55, seed: int = 0
) -> NDArray[np.float32]:
    """Replace pixels by weighted means of their neighbours, plus a little noise.

    Every removed pixel equals the mean of its eight neighbours inside the image, removed ones included. The
    weights are 1/6 at the sides and 1/12 at the corners. This is a sparse linear system.

    Args:
        image: (H, W, C).
        removed: bool (H, W).
        noise: float, standard deviation of the noise on removed pixels, in units of the image. The released
            code's 0.01 for pixels in [0, 1] is 2.55 for 0..255.
        seed: int, of the noise.

    Returns:
        float32 (H, W, C).

    Raises:
        ValueError: the shapes do not fit, or all pixels are removed.

    Reference:
        Rong et al., ICML 2022, "A Consistent and Efficient Evaluation Strategy for Attribution Methods",
        section 5 (noisy linear imputation).

    Examples:
        >>> impute_linearly([[[2.0], [0.0], [8.0]]], [[False, True, False]], noise=0.0).ravel().tolist()
        [2.0, 5.0, 8.0]
    """
    pixels = np.array(image, "float32")
    missing = np.asarray(removed, bool)
    if pixels.ndim != 3 or missing.shape != pixels.shape[:2]:
        raise ValueError(
            "`image` must be (H, W, C) and `removed` (H, W). "
            f"Received: shapes {pixels.shape} and {missing.shape}"
        )
    if missing.all():
        raise ValueError("`removed` must leave at least one pixel. Received: all are removed")
    if not missing.any():
        return pixels
    neighbours = _neighbours(*missing.shape)
    lost, kept = np.flatnonzero(missing), np.flatnonzero(~missing)
    equations = neighbours[lost]
    total = sparse.diags_array(np.asarray(equations.sum(axis=1)).ravel())
    flat = pixels.reshape(missing.size, -1)
    known = equations[:, kept] @ flat[kept].astype("float64")
    flat[lost] = splu((total - equations[:, lost]).tocsc()).solve(known)
    flat[lost] += np.random.default_rng(seed).normal(0, noise, flat[lost].shape)
    return flat.reshape(pixels.shape)


def _neighbours(height: int, width: int) -> sparse.csr_array:
    """Weights of the neighbours of each pixel: (H * W, H * W), symmetric."""
    index = np.arange(height * width).reshape(height, width)
    half = sparse.csr_array((height * width, height * width))
    for (down, right), weight in _WEIGHTS.items():
        here = index[-down:, max(-right, 0) : width - max(right, 0)].ravel()
        there = index[: height + down, max(right, 0) : width - max(-right, 0)].ravel()
        half = half + sparse.coo_array((np.full(len(here), weight), (here, there)), half.shape).tocsr()
    return (half + half.T).tocsr()


def road_images(
    image: ArrayLike,
    activation_map: ArrayLike,
    order: Literal["most_relevant_first", "least_relevant_first"] = "most_relevant_first",
    fractions: Sequence[float] = FRACTIONS,
    noise: float = 2.55,
    seed: int = 0,
) -> NDArray[np.float32]:
    """The image after `impute_linearly` has removed each fraction of its pixels.

    Args:
        image: (H, W, C).
        activation_map: (h, w), raw.
        order: "most_relevant_first" or "least_relevant_first", which pixels are removed first.
        fractions: the fractions of the pixels to remove, each in [0, 1).
        noise: see `impute_linearly`.
        seed: see `impute_linearly`.

    Returns:
        float32 (len(fractions), H, W, C).

    Raises:
        ValueError: an unknown order, or a fraction out of range.

    Reference:
        Rong et al., ICML 2022, sections 3 (MoRF and LeRF) and 5.

    Examples:
        >>> images = road_images([[[2.0], [9.0], [8.0]]], [[0.0, 3.0, 1.0]], fractions=[0.0, 0.4], noise=0.0)
        >>> images[..., 0].tolist()
        [[[2.0, 9.0, 8.0]], [[2.0, 5.0, 8.0]]]
    """
    if order not in ("most_relevant_first", "least_relevant_first"):
        raise ValueError(
            f'`order` must be "most_relevant_first" or "least_relevant_first". Received: order={order!r}'
        )
    if not all(0 <= fraction < 1 for fraction in fractions):
        raise ValueError(f"`fractions` must be in [0, 1). Received: {tuple(fractions)}")
    pixels = np.asarray(image, "float32")
    ranks = pixel_ranks(activation_map, pixels.shape[:2])
    if order == "least_relevant_first":
        ranks = ranks.size - 1 - ranks
    return np.stack(
        [impute_linearly(pixels, ranks < int(fraction * ranks.size), noise, seed) for fraction in fractions]
    )


@keras.saving.register_keras_serializable("keras_cam")
class ROAD(Mergeable):
    """Accuracy on the images of `road_images`, the mean over the fractions.

    Low is good if the most relevant pixels are removed first, high if the least relevant ones are. `curve()`
    has the accuracy at each fraction.

    Args:
        fractions: the fractions of the pixels that were removed.
        name: str.
        dtype: of the result.

    Update with:
        y_true: (B,) integers, the true classes.
        y_pred: (B, len(fractions), N), the classifier's logits or probabilities.

    Reference:
        Rong et al., ICML 2022, section 5.

    Examples:
        >>> metric = ROAD(fractions=(0.2, 0.8))
        >>> metric.update_state([1], [[[0.1, 0.9], [0.6, 0.4]]])
        >>> float(metric.result()), metric.curve().tolist()
        (0.5, [1.0, 0.0])
    """

    def __init__(
        self, fractions: Sequence[float] = FRACTIONS, name: str = "road", dtype: Any = "float64"
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.fractions = tuple(fractions)
        shape = (len(self.fractions),)
        self.right = self.add_weight(name="right", shape=shape, initializer="zeros", dtype="float64")
        self.images = self.add_weight(name="images", shape=(), initializer="zeros", dtype="float64")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the images of a batch; `sample_weight` (B,) counts some for more than others."""
        y_pred = ops.convert_to_tensor(y_pred)
        if len(y_pred.shape) != 3 or y_pred.shape[1] != len(self.fractions):
            raise ValueError(
                f"`y_pred` must be (B, {len(self.fractions)}, N). Received: shape {tuple(y_pred.shape)}"
            )
        classes = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
        right = ops.cast(ops.cast(ops.argmax(y_pred, axis=2), "int32") == classes, "float64")
        weight = ops.ones_like(right[:, 0]) if sample_weight is None else ops.cast(sample_weight, "float64")
        self.right.assign_add(ops.sum(right * ops.reshape(weight, (-1, 1)), axis=0))
        self.images.assign_add(ops.sum(weight))

    def curve(self) -> NDArray[np.float64]:
        """Accuracy in [0, 1] at each fraction."""
        return ops.convert_to_numpy(ops.divide_no_nan(self.right, self.images))

    def result(self) -> Any:
        """The mean accuracy in [0, 1]; 0 without images."""
        return ops.cast(ops.mean(ops.divide_no_nan(self.right, self.images)), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "fractions": self.fractions}
