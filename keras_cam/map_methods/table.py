"""The table of map methods. Reading it does not import Keras."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_cam.map_methods.evidence import Evidence

Maps = Callable[["Evidence"], Any]
"""From evidence to the maps of the chosen classes, float32 (B, K, h, w)."""


@dataclass(frozen=True)
class MapMethod:
    """A way to make a map from features and from how a class depends on them.

    Attributes:
        summary: one line for people.
        function: the name of the function, and of its file in this folder.
        reference: where it was published.
        needs_gradients: whether it asks for gradients; else it is as slow as the head is, times many.
    """

    summary: str
    function: str
    reference: str
    needs_gradients: bool = True

    def maps(self, evidence: "Evidence") -> Any:
        """The maps of the chosen classes, float32 (B, K, h, w)."""
        module = import_module(f"keras_cam.map_methods.{self.function}")
        return getattr(module, self.function)(evidence)


MAP_METHODS = {
    "gradcam": MapMethod("channels weighted by their summed gradients", "gradcam", "Selvaraju et al. 2017"),
    "gradcam++": MapMethod(
        "channels weighted by positive gradients, less where the channel is large",
        "gradcam_plus_plus",
        "Chattopadhyay et al. 2018",
    ),
    "layercam": MapMethod("features times their positive gradients", "layercam", "Jiang et al. 2021"),
    "hirescam": MapMethod("features times their gradients", "hirescam", "Draelos and Carin 2020"),
    "xgradcam": MapMethod(
        "channels weighted by gradients, averaged with the features as weights", "xgradcam", "Fu et al. 2020"
    ),
    "elementwise": MapMethod(
        "the positive products of features and gradients", "elementwise", "package grad-cam"
    ),
    "eigengradcam": MapMethod(
        "the first principal component of features times gradients", "eigengradcam", "package grad-cam"
    ),
    "eigencam": MapMethod(
        "the first principal component of the features, the same for all classes",
        "eigencam",
        "Muhammad and Yeasin 2020",
        needs_gradients=False,
    ),
    "scorecam": MapMethod(
        "channels weighted by the logit of the features that they mask",
        "scorecam",
        "Wang et al. 2020",
        needs_gradients=False,
    ),
    "ablationcam": MapMethod(
        "channels weighted by how much the logit falls without them",
        "ablationcam",
        "Desai and Ramaswamy 2020",
        needs_gradients=False,
    ),
    "reciprocam": MapMethod(
        "the logit of the features around each position alone",
        "reciprocam",
        "Byun and Lee 2024",
        needs_gradients=False,
    ),
}

FINER = "finer:"
"""What stands before the name of a method that compares a class with the classes closest to it."""

AUGMENT = "augment:"
"""What stands before a method whose maps are averaged over views of the image, see `build_localizer`."""

SCALES = (0.75, 1.5)
"""The sizes of these views besides the image's own, if the layers before the features take other sizes."""

_CLOSEST = 3


def map_method(name: str) -> Maps:
    """The function of a map method.

    Args:
        name: a key of `MAP_METHODS`; or "finer:" and a key, the method for the logit of a class less the mean
            of the three logits closest to it, which shows what sets the class apart from similar ones.

    Raises:
        ValueError: there is no such method.

    Reference:
        Zhang et al., Finer-CAM, CVPR 2025.

    Examples:
        >>> map_method("finer:layercam").__name__
        'finer'
    """
    method = MAP_METHODS.get(name.removeprefix(FINER))
    if method is None:
        raise ValueError(
            "`method` must be 'auto', 'cam', a function, or one of "
            f"{list(MAP_METHODS)}, with or without {FINER!r} and {AUGMENT!r} before it. "
            f"Received: method={name!r}"
        )

    def finer(evidence: "Evidence") -> Any:
        return method.maps(replace(evidence, closest=_CLOSEST))

    return finer if name.startswith(FINER) else method.maps
