"""The names of a classifier's classes, as a part of the model."""

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable("keras_cam")
class ClassLabels(keras.layers.Layer):
    """Passes logits or probabilities on, and names their classes.

    Whatever saves, loads or clones the model takes the names along; `keras_cam.models.labels` finds them.

    Args:
        labels: the names of all classes, in the order of their indices.

    Input shape:
        (B, N), N as many as there are labels.

    Output shape:
        The same.

    Raises:
        ValueError: if the labels are not N.

    Examples:
        >>> import numpy as np
        >>> layer = ClassLabels(["cat", "dog"])
        >>> layer(np.array([[0.25, 0.75]])).numpy().tolist(), layer.labels
        ([[0.25, 0.75]], ('cat', 'dog'))
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        # Whatever the precision of the model, it leaves values as they are.
        super().__init__(**{"autocast": False, **kwargs})
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
