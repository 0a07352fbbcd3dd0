"""Kinds of layers and operations, by the names of their classes in Keras and in `keras.ops`."""

from typing import Any

IDENTITIES = (
    "ActivityRegularization",
    "AlphaDropout",
    "Cast",
    "ClassLabels",
    "Copy",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StopGradient",
)
"""Operations that return their input unchanged at inference."""

RESHAPES = ("ExpandDims", "Flatten", "Ravel", "Reshape", "Squeeze")
"""Operations that return the same elements, in the same order, in another shape."""


def is_identity(operation: Any) -> bool:
    """Whether an operation returns its input unchanged at inference."""
    return type(operation).__name__ in IDENTITIES


def activation_name(operation: Any) -> str | None:
    """The name of the activation that a layer applies last; None if it has no activation."""
    kind = type(operation).__name__
    if kind in ("Sigmoid", "Softmax"):  # layers and keras.ops
        return kind.lower()
    function = getattr(operation, "activation", None)
    return getattr(function, "__name__", None)
