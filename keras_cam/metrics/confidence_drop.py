"""How the confidence changes when only those parts of the image are left that the map highlights."""

from typing import Any

import keras
from keras import ops

from keras_cam.metrics.mergeable import Mergeable
from keras_cam.metrics.true_class import one_map_an_image


def explanation_images(images: Any, maps: Any) -> Any:
    """Images multiplied by their maps, resized bilinearly and scaled to [0, 1] by minimum and maximum.

    Args:
        images: (B, H, W, C) pixels as the classifier takes them.
        maps: (B, h, w) or (B, 1, h, w), raw.

    Returns:
        (B, H, W, C) float32, zeros for a constant map.

    Reference:
        Chattopadhay et al., WACV 2018, "Grad-CAM++", section 4.1.

    Examples:
        >>> explanation_images([[[[100.0], [100.0]]]], [[[-1.0, 3.0]]]).numpy().ravel().tolist()
        [0.0, 100.0]
    """
    images = ops.cast(images, "float32")
    maps = ops.image.resize(
        ops.cast(one_map_an_image(maps), "float32")[..., None],
        images.shape[1:3],
        interpolation="bilinear",
        data_format="channels_last",
    )
    lowest = ops.min(maps, axis=(1, 2), keepdims=True)
    span = ops.max(maps, axis=(1, 2), keepdims=True) - lowest
    return images * ops.where(span > 0, (maps - lowest) / ops.where(span > 0, span, 1.0), 0.0)


class _ConfidenceChange(Mergeable, keras.metrics.Mean):
    """The mean over images of a function of the confidence before and after."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the images of a batch; `sample_weight` (B,) counts some for more than others."""
        before, after = (ops.convert_to_tensor(y, self.dtype) for y in (y_true, y_pred))
        super().update_state(self._change(before, after), sample_weight)

    def _change(self, before: Any, after: Any) -> Any:
        raise NotImplementedError


@keras.saving.register_keras_serializable("keras_cam")
class AverageDrop(_ConfidenceChange):
    """How much confidence is lost, as a part of what there was: mean of `max(0, Y - O) / Y`. Low is good.

    Args:
        name: str.
        dtype: of the state.

    Update with:
        y_true: (B,), the probability Y of the explained class on the image.
        y_pred: (B,), its probability O on the image of `explanation_images`.

    Reference:
        Chattopadhay et al., WACV 2018, "Grad-CAM++", section 4.1. There in percent, here in [0, 1].

    Examples:
        >>> metric = AverageDrop()
        >>> metric.update_state([0.8, 0.5], [0.6, 0.9])
        >>> round(float(metric.result()), 6)  # a quarter of the first
        0.125
    """

    def __init__(self, name: str = "average_drop", dtype: Any = "float64") -> None:
        super().__init__(name=name, dtype=dtype)

    def _change(self, before: Any, after: Any) -> Any:
        return ops.divide_no_nan(ops.relu(before - after), before)


@keras.saving.register_keras_serializable("keras_cam")
class IncreaseInConfidence(_ConfidenceChange):
    """The part of the images whose confidence grows: mean of `Y < O`. High is good.

    Args:
        name: str.
        dtype: of the state.

    Update with:
        y_true: (B,), the probability Y of the explained class on the image.
        y_pred: (B,), its probability O on the image of `explanation_images`.

    Reference:
        Chattopadhay et al., WACV 2018, "Grad-CAM++", section 4.1. There in percent, here in [0, 1].

    Examples:
        >>> metric = IncreaseInConfidence()
        >>> metric.update_state([0.8, 0.5], [0.6, 0.9])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, name: str = "increase_in_confidence", dtype: Any = "float64") -> None:
        super().__init__(name=name, dtype=dtype)

    def _change(self, before: Any, after: Any) -> Any:
        return ops.cast(before < after, self.dtype)


@keras.saving.register_keras_serializable("keras_cam")
class AverageGain(_ConfidenceChange):
    """How much confidence is gained, as a part of the possible gain: mean of `max(0, O - Y) / (1 - Y)`.

    High is good. It is the counterpart of `AverageDrop`. A map that highlights nearly the whole image can
    reach a high `IncreaseInConfidence`, but not a high gain.

    Args:
        name: str.
        dtype: of the state.

    Update with:
        y_true: (B,), the probability Y of the explained class on the image.
        y_pred: (B,), its probability O on the image of `explanation_images`.

    Reference:
        Zhang et al., CVIU 2024, "Opti-CAM: Optimizing saliency maps for interpretability", section 4.

    Examples:
        >>> metric = AverageGain()
        >>> metric.update_state([0.8, 0.5], [0.6, 0.75])
        >>> float(metric.result())  # half of the second
        0.25
    """

    def __init__(self, name: str = "average_gain", dtype: Any = "float64") -> None:
        super().__init__(name=name, dtype=dtype)

    def _change(self, before: Any, after: Any) -> Any:
        return ops.divide_no_nan(ops.relu(after - before), 1.0 - before)
