"""The paper's thresholds for boxes, and the recipes of refined maps.

Importing this module does not import Keras.
"""

from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How maps are refined and boxes computed, see `keras_cam.layers.AffinityRefinement`.

    Attributes:
        summary: a one-line description.
        dense: whether the map has twice the resolution of the network's last feature map.
        mirrored: whether the map is averaged with the map of the mirrored image.
        looks_again: whether the box of the best class is enlarged and seen a second time, as an image of its
            own, and the maps of both looks averaged.
        thresholds: fractions of a map's maximum; the boxes at several thresholds are averaged.
    """

    summary: str
    dense: bool = False
    mirrored: bool = False
    looks_again: bool = False
    thresholds: tuple[float, ...] = (0.3, 0.4, 0.5)


RECIPES = {
    "B32": Recipe("spreads the network's own map", thresholds=(0.4,)),
    "B": Recipe("spreads a map twice as fine, about 1.6 times the time", dense=True),
    "C": Recipe("as B, also for the mirrored image, about 3 times the time", dense=True, mirrored=True),
    "look_again": Recipe(
        "as B32, and a second look at the box of the best class, about twice the time",
        looks_again=True,
        thresholds=(0.35, 0.4, 0.45),
    ),
}

FOREGROUND_THRESHOLDS = (0.4, 0.45, 0.5)
"""The thresholds of every recipe whose maps are combined with a learned foreground."""

NONE, AFFINITY, AUTO = "none", "affinity", "auto"
REFINEMENTS = (AUTO, NONE, AFFINITY, *RECIPES)
"""The values of `refine`; see `REFINE_HELP`."""

DEFAULT_GRADIENT_METHOD = "gradcam++"
"""How maps are made where no map is exact, see `keras_cam.map_methods.MAP_METHODS`."""

DEFAULT_REFINE = AUTO
"""The default of `refine` in `build_localizer` and in every command."""

DEFAULT_RECIPE = "B32"
"""The recipe of refine="affinity"."""

REFINE_HELP = "; ".join(
    [
        "auto: affinity if the network has mid-level features, else none",
        "none: the paper's rule, boxes of the class activation maps",
        f"affinity: maps spread over similar parts of the image, by the recipe {DEFAULT_RECIPE}",
        *(f"{name}: {recipe.summary}" for name, recipe in RECIPES.items()),
    ]
)
"""The meaning of each value, for the help of the command line."""

THRESHOLD = 0.2
"""The paper's threshold: the fraction of a class activation map's maximum that values in a box exceed."""

REFINED_THRESHOLD = 0.4
"""The threshold of refined maps, where there is one."""

MAX_BOXES = 5
"""The number of boxes of a class with components="all"."""

LEAST_AREA = 0.1
"""With components="all", a component has a box if its area exceeds this fraction of the largest one's."""

TIGHT_THRESHOLD = 100 / 255
"""The threshold of the tight box in the paper's result on the test set.

The paper mentions the two boxes but not the tight threshold; its released code uses 100/255.
"""

POSITIVE_WEIGHTS_UP_TO = 100
"""With more classes than this, refined maps also use the negative weights of the classifier."""

REFINED_IMAGE_SIZE = 320
"""Height and width of the images on which the recipes were evaluated."""

DEFAULT_OVERLAP = 0.2
"""The fraction of a tile of a large picture that it shares with the next one, at least."""

DEFAULT_IMAGE_SIZE = 224
"""Height and width of photos for a model that takes images of any size and does not refine maps."""


def default_image_size(outputs: Container[str]) -> int:
    """Height and width of photos for a localizer that takes images of any size.

    Args:
        outputs: the names of its outputs.

    Examples:
        >>> default_image_size(["detection_boxes", "localization_maps"]), default_image_size([])
        (320, 224)
    """
    return REFINED_IMAGE_SIZE if "localization_maps" in outputs else DEFAULT_IMAGE_SIZE


def usual_threshold(outputs: Container[str]) -> float:
    """The threshold of a localizer that does not say its own: the default of raw or of refined maps.

    Args:
        outputs: the names of its outputs.

    Examples:
        >>> usual_threshold(["detection_boxes", "localization_maps"]), usual_threshold([])
        (0.4, 0.2)
    """
    return REFINED_THRESHOLD if "localization_maps" in outputs else THRESHOLD
