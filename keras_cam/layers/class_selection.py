"""Selection of the classes that get a map."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cam")
class ClassSelection(keras.layers.Layer):
    """Selects the classes with the highest logits, best first, or a fixed list of classes.

    Args:
        top_k: int, the number of classes; equal logits are ordered by class index. Give this or `class_ids`.
        class_ids: integers, the classes for every image, in this order.

    Input shape:
        Logits (B, N).

    Output shape:
        int32 (B, K).

    Examples:
        >>> import numpy as np
        >>> ClassSelection(top_k=2)(np.array([[0.1, 3.0, 0.5]])).numpy().tolist()
        [[1, 2]]
    """

    def __init__(
        self, top_k: int | None = None, class_ids: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if (top_k is None) == (class_ids is None):
            raise ValueError(
                "Exactly one of `top_k` and `class_ids` must be given. "
                f"Received: top_k={top_k}, class_ids={class_ids}"
            )
        self.top_k = top_k
        self.class_ids = None if class_ids is None else list(class_ids)

    def call(self, logits: Any) -> Any:
        if self.class_ids is None:
            return ops.cast(ops.top_k(logits, self.top_k)[1], "int32")
        class_ids = ops.convert_to_tensor([self.class_ids], dtype="int32")
        return ops.tile(class_ids, (ops.shape(logits)[0], 1))

    def compute_output_spec(self, logits: Any) -> Any:
        classes = self.top_k if self.class_ids is None else len(self.class_ids)
        return keras.KerasTensor((logits.shape[0], classes), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "top_k": self.top_k, "class_ids": self.class_ids}
