"""Callbacks for `keras.Model.fit`."""

from typing import Any

import keras

from keras_cam.data import AnnotatedImages
from keras_cam.evaluation import evaluate
from keras_cam.inference.keras import KerasLocalizer
from keras_cam.localizer import build_localizer

RATES = ("gt_known_accuracy", "localization_top1_error", "localization_top5_error", "pointing_game")
"""The rates that are added to the logs, see docs/evaluation.md; and `max_box_acc_v2`."""


class LocalizationCallback(keras.callbacks.Callback):
    """Measures after each epoch how well the maps of a classifier localize.

    The figures are added to the logs, so that the history has them and later callbacks can use them, for
    instance `keras.callbacks.ModelCheckpoint(monitor="val_gt_known_accuracy", mode="max")`. Boxes are only
    compared with the result; training still sees labels only. The model must take RGB pixels in 0..255.

    Args:
        validation: annotated images with boxes, see `keras_cam.read_annotations`.
        every: int, measure after each so many epochs.
        batch_size: int, how many images go through the model at once.
        **options: further arguments of `keras_cam.build_localizer`, such as `refine`.

    Raises:
        ValueError: `every` is not positive; or, when training begins, the classifier has no exact class
            activation map.

    Examples:
        >>> import numpy as np
        >>> import keras_cam
        >>> from keras_cam.data import AnnotatedImage
        >>> from skimage import data_dir
        >>> box, label = np.array([[0, 0, 451, 300]], "float32"), np.array([0])
        >>> cat = AnnotatedImage("cat", f"{data_dir}/chelsea.png", 0, (0,), box, label)
        >>> validation = AnnotatedImages("cats", ("cat", "dog"), (cat,))
        >>> model = keras_cam.build_model("alexnet_gap", classes=2, input_shape=(67, 67, 3), head_filters=8)
        >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> images, labels = np.zeros((2, 67, 67, 3), "uint8"), np.array([0, 1])
        >>> callback = LocalizationCallback(validation)
        >>> history = model.fit(images, labels, callbacks=[callback], verbose=0)
        >>> sorted(history.history)[1:4]
        ['val_gt_known_accuracy', 'val_localization_top1_error', 'val_localization_top5_error']
    """

    def __init__(
        self, validation: AnnotatedImages, every: int = 1, batch_size: int = 32, **options: Any
    ) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be at least 1. Received: every={every!r}")
        self.validation = validation
        self.every = every
        self._batch_size = batch_size
        self._options = options
        self._localizer: KerasLocalizer | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Builds the localizer, which shares the layers of the model."""
        self._localizer = KerasLocalizer(build_localizer(self.model, **self._options))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds `val_gt_known_accuracy` and the like to the logs."""
        if logs is not None and self._localizer is not None and (epoch + 1) % self.every == 0:
            logs.update(localization_logs(self._localizer, self.validation, self._batch_size))


def localization_logs(
    localizer: KerasLocalizer, validation: AnnotatedImages, batch_size: int = 32
) -> dict[str, float]:
    """The figures that `LocalizationCallback` adds to the logs.

    Args:
        localizer: the localizer.
        validation: annotated images with boxes.
        batch_size: how many images go through the model at once.

    Returns:
        A value for each of `RATES` that applies to some image, and for `max_box_acc_v2`, named `val_...`.
    """
    figures = evaluate(localizer, validation, batch_size=batch_size).to_dict()
    logs = {f"val_{rate}": figures[rate] for rate in RATES if figures[rate] is not None}
    if figures["max_box_acc_v2"] is not None:
        logs["val_max_box_acc_v2"] = figures["max_box_acc_v2"]["value"]
    return logs
