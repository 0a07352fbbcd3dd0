"""Which detections are kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from keras_cam.inference.records import Localization


@dataclass(frozen=True)
class Selection:
    """Which detections of a record are kept; called with a record, returns the record with them.

    Attributes:
        min_score: the lowest score.
        min_scores: the lowest score of single classes, by name: thresholds of a multi-label classifier.
        classes: the names of the classes to keep; None keeps all.
        top_k: how many are kept of those that the rest allows, best first; None keeps all.

    Raises:
        ValueError: a score is not in [0, 1], or `top_k` is not positive.

    Examples:
        >>> import numpy as np
        >>> from keras_cam.inference import Detection
        >>> flat = np.ones((7, 7), np.float32)
        >>> cat, dog = Detection(0, "cat", 0.6, None, flat), Detection(1, "dog", 0.4, None, flat)
        >>> record = Localization("pets.jpg", 64, 48, "m", (cat, dog))
        >>> [found.label for found in Selection(0.5, {"dog": 0.3})(record).detections]
        ['cat', 'dog']
    """

    min_score: float = 0.0
    min_scores: Mapping[str, float] = field(default_factory=dict)
    classes: Collection[str] | None = None
    top_k: int | None = None

    def __post_init__(self) -> None:
        for score in (self.min_score, *self.min_scores.values()):
            if not 0 <= score <= 1:
                raise ValueError(
                    "`min_score` and the values of `min_scores` must be in [0, 1]. "
                    f"Received: min_score={self.min_score!r}, min_scores={dict(self.min_scores)!r}"
                )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"`top_k` must be at least 1. Received: top_k={self.top_k!r}")

    def __call__(self, record: Localization) -> Localization:
        """The record with the detections that are kept."""
        kept = [
            found
            for found in record.detections
            if found.score >= self.min_scores.get(found.label, self.min_score)
            and (self.classes is None or found.label in self.classes)
        ]
        return replace(record, detections=tuple(kept[: self.top_k]))

    def check_names(self, class_names: Collection[str]) -> None:
        """Raise a `ValueError` if `classes` or `min_scores` has a name that no class has."""
        unknown = [name for name in (*(self.classes or ()), *self.min_scores) if name not in class_names]
        if unknown:
            raise ValueError(
                f"The names of classes must be among the {len(class_names)} of the model. "
                f"Received: {', '.join(map(repr, unknown))}"
            )
