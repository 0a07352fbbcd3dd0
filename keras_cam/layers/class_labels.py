"""Class names, stored in the model."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_cam.check_labels import check_labels


@keras.saving.register_keras_serializable("keras_cam")
class ClassLabels(keras.layers.Layer):
    """Returns its input unchanged and stores the class names in its configuration.

    Saving, loading and cloning the model keeps the names; `keras_cam.models.labels` reads them.

    Args:
        labels: the names of all classes, in the order of their indices.

    Input shape:
        (B, N), one column for each label.

    Output shape:
        The input shape.

    Raises:
        ValueError: the number of labels is not N; or a label is empty, has a line break or is there twice.

    Examples:
        >>> import numpy as np
        >>> layer = ClassLabels(["cat", "dog"])
        >>> layer(np.array([[0.25, 0.75]])).numpy().tolist(), layer.labels
        ([[0.25, 0.75]], ('cat', 'dog'))
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        # Without autocast: a mixed-precision policy would cast the values.
        super().__init__(**{"autocast": False, **kwargs})
        if isinstance(labels, str):
            raise ValueError(f"`labels` must be a list of names, not one string. Received: labels={labels!r}")
        check_labels(labels)
        self.labels = tuple(labels)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != len(self.labels):
            raise ValueError(
                f"`labels` must name each of the {input_shape[-1]} classes. "
                f"Received: {len(self.labels)} labels"
            )

    def call(self, values: Any) -> Any:
        return values

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": list(self.labels)}
