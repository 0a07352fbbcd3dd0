"""Classifiers of images with other values than they were trained on."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_cam.graph import names
from keras_cam.graph.flat_graph import functional_model
from keras_cam.layers import PixelWindow


def with_window(
    model: keras.Model, window: Sequence[float], pixel_range: Sequence[float] = (0.0, 255.0)
) -> keras.Model:
    """A classifier that takes images of any numbers, cuts them to a window and scales it to its own range.

    The window is a part of the graph, so that an exported model does the same.

    Args:
        model: a built classifier, whose first input is images. One of RGB images becomes one of grey images,
            (B, H, W, 1), as X-rays, and thermal and microscope images are; any other keeps its channels.
        window: `(low, high)`, the values that become black and white.
        pixel_range: the values of black and white that the classifier takes.

    Returns:
        A functional model that shares the layers of the classifier; its images are float32.

    Raises:
        ValueError: `window` is not (low, high) with low < high, or `model` cannot be traced.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=2, input_shape=(64, 64, 3))
        >>> with_window(model, (0, 4095)).input_shape
        (None, 64, 64, 1)
    """
    model = functional_model(model)
    pixels, *others = model.inputs
    *shape, channels = pixels.shape
    is_rgb = channels == 3
    images = keras.Input(batch_shape=(*shape, 1 if is_rgb else channels), name=names.IMAGES)
    cut = PixelWindow(window, pixel_range, channels if is_rgb else None, name="window")(images)
    further = [keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name) for x in others]
    outputs: Any = model([cut, *further] if further else cut)
    return keras.Model([images, *further] if further else images, outputs, name=model.name)
