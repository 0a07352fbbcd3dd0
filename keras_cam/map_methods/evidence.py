"""What is known of a classifier at the last of its tensors that has positions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops


@dataclass(frozen=True)
class Evidence:
    """What a map method is given: features, chosen classes, and how the classes depend on the features.

    All values are float32. B is the number of images, K of chosen classes, N of all classes. Features that
    are tokens are laid out on their grid, without the class token.

    The score of a chosen class is its logit; if `closest` is not 0, less the mean of the logits of that many
    other classes, those whose logits are closest to its own.

    Attributes:
        features: (B, h, w, C).
        class_ids: integers (B, K), the chosen classes of each image.
        logits: (B, N), the logits of `features`.
        pull_back: from cotangents of the logits (B, K, N) to those of the features (B, K, h, w, C): the
            derivatives by the features of K weighted sums of the logits.
        logits_of: from other features (n * B, h, w, C), n copies of the batch one after the other, to their
            logits (n * B, N).
        closest: the number of classes that each chosen class is compared with.

    Reference:
        Zhang et al., Finer-CAM, CVPR 2025, section 3, for the comparison with the closest classes.

    Examples: a linear head over the mean of two positions.
        >>> import numpy as np
        >>> kernel = np.array([[1.0, 3.0], [10.0, -1.0]], "float32")
        >>> features = np.array([[[[1.0, 0.0], [0.0, 2.0]]]], "float32")
        >>> def logits_of(features):
        ...     return ops.matmul(ops.mean(features, (1, 2)), kernel)
        >>> def pull_back(cotangents):
        ...     at_each_position = ops.matmul(cotangents, kernel.T)[:, :, None, None] / 2
        ...     return ops.broadcast_to(at_each_position, (1, 1, 1, 2, 2))
        >>> evidence = Evidence(features, np.array([[1]]), logits_of(features), pull_back, logits_of)
        >>> evidence.scores().numpy().tolist(), evidence.gradients().numpy().tolist()
        ([[0.5]], [[[[[1.5, -0.5], [1.5, -0.5]]]]])
        >>> evidence.scores_of(np.concatenate([features, 2 * features])).numpy().tolist()
        [[[0.5]], [[1.0]]]
    """

    features: Any
    class_ids: Any
    logits: Any
    pull_back: Callable[[Any], Any]
    logits_of: Callable[[Any], Any]
    closest: int = 0

    def targets(self) -> Any:
        """The weights of all logits in the scores of the chosen classes, (B, K, N)."""
        classes = self.logits.shape[-1]
        chosen = ops.one_hot(self.class_ids, classes, dtype="float32")
        count = min(self.closest, classes - 1)
        if not count:
            return chosen
        logits = self.logits[:, None]
        distances = ops.abs(logits - ops.sum(chosen * logits, axis=-1, keepdims=True))
        _, others = ops.top_k(ops.where(chosen > 0, -float("inf"), -distances), count)
        return chosen - ops.mean(ops.one_hot(others, classes, dtype="float32"), axis=2)

    def gradients(self) -> Any:
        """The derivatives of the scores of the chosen classes by the features, (B, K, h, w, C)."""
        return self.pull_back(self.targets())

    def scores(self) -> Any:
        """The scores of the chosen classes, (B, K)."""
        return ops.sum(self.targets() * self.logits[:, None], axis=-1)

    def scores_of(self, features: Any) -> Any:
        """The scores of the chosen classes for other features: from (n * B, h, w, C) to (n, B, K)."""
        batch, classes = ops.shape(self.logits)
        logits = ops.reshape(self.logits_of(features), (-1, batch, classes))
        scores = ops.matmul(self.targets(), ops.transpose(logits, (1, 2, 0)))  # (B, K, n)
        return ops.transpose(scores, (2, 0, 1))

    def positions(self) -> Any:
        """The number of positions, h * w, as float32."""
        height, width = ops.shape(self.features)[1:3]
        return ops.cast(height * width, "float32")
