"""Image classifiers of keras_hub, by preset or as a task, with their preprocessing in the graph.

Reference:
    https://keras.io/keras_hub/api/base_classes/image_classifier
"""

from typing import Any

import keras

PREFIX = "keras_hub:"
"""What a name starts with that is a preset of keras_hub."""


def load_preset(preset: str, classes: int | None = None) -> keras.Model:
    """An image classifier of keras_hub that takes raw pixels, with the weights of a preset.

    Args:
        preset: the name of a preset, the handle of a model on Kaggle or Hugging Face, or the folder of a
            preset.
        classes: int, the number of classes of a new, random head; None keeps the preset's own.

    Raises:
        ModuleNotFoundError: keras_hub is not installed.
        ValueError: the preset cannot be loaded; the message says why.
    """
    try:
        import keras_hub
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{PREFIX + preset!r} needs the package keras-hub: pip install keras-cam[hub]"
        ) from error
    options = {} if classes is None else {"num_classes": classes}
    try:
        task = keras_hub.models.ImageClassifier.from_preset(preset, **options)
    # The libraries that it downloads with have no exception in common.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"`name` must be {PREFIX!r} and a preset of `keras_hub.models.ImageClassifier` that is on this "
            f"computer or can be downloaded. Received: name={PREFIX + preset!r} ({reason})"
        ) from error
    return with_preprocessing(task)


def with_preprocessing(model: keras.Model) -> keras.Model:
    """A task of keras_hub as a model of raw pixels 0..255; any other model unchanged.

    Pixels are scaled as the task's preprocessor does. The size of the images is the one to which it resizes;
    it does not crop them, so that boxes are those of whole photos.

    Args:
        model: a Keras model. A task without preprocessor is returned unchanged, too.

    Returns:
        A functional model that shares the layers of the task.

    Examples:
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
        >>> with_preprocessing(model) is model
        True
    """
    converter = getattr(getattr(model, "preprocessor", None), "image_converter", None)
    if converter is None:
        return model
    [inputs] = model.inputs
    size_hw = converter.image_size or inputs.shape[1:3]
    images = keras.Input((*size_hw, inputs.shape[-1]), name="images")
    pixels = images
    if converter.scale is not None or converter.offset is not None:
        pixels = keras.layers.Rescaling(
            1.0 if converter.scale is None else converter.scale,
            0.0 if converter.offset is None else converter.offset,
            name="normalization",
        )(images)
    outputs: Any = model(pixels)
    return keras.Model(images, outputs, name=model.name)
