"""How boxes are made of maps: the paper's thresholds, and recipes that refine maps first.

Reading it needs no Keras.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What is spread over the affinity of an image, see `keras_cam.layers.AffinityRefinement`.

    Attributes:
        summary: one line for people.
        dense: whether the map to be spread is twice as fine as the network makes it.
        mirrored: whether the mirrored image is localized too, and the mean of both taken.
        thresholds: the parts of a map's maximum at which boxes are cut out; of several the mean box is taken.
    """

    summary: str
    dense: bool = False
    mirrored: bool = False
    thresholds: tuple[float, ...] = (0.3, 0.4, 0.5)


RECIPES = {
    "B32": Recipe("the network's own map", thresholds=(0.4,)),
    "B": Recipe("a map twice as fine; about 1.6 times the time", dense=True),
    "C": Recipe("the same, with the mirrored image; about 3 times", dense=True, mirrored=True),
}

NONE, AFFINITY, AUTO = "none", "affinity", "auto"
REFINEMENTS = (AUTO, NONE, AFFINITY, *RECIPES)
"""What `refine` may be; see `REFINE_HELP`."""

DEFAULT_REFINE = AUTO
"""Of `build_localizer`, and so of all that localizes, evaluates and exports."""

DEFAULT_RECIPE = "B32"
"""What "affinity" stands for."""

REFINE_HELP = "; ".join(
    [
        "auto: affinity if the network has mid-level features, else none",
        "none: the paper's rule, boxes of the class activation maps",
        f"affinity: recipe {DEFAULT_RECIPE}",
        *(f"{name}: {recipe.summary}" for name, recipe in RECIPES.items()),
    ]
)
"""What they mean, for the command line."""

THRESHOLD = 0.2
"""The paper's: the part of a class activation map's maximum that the pixels of a box exceed."""

TIGHT_THRESHOLD = 100 / 255
"""That of the tight box of the paper's test set result.

The paper names the two boxes but not the tighter threshold; its released code takes 100 of 255.
"""

POSITIVE_WEIGHTS_UP_TO = 100
"""Classes. With more, maps to be refined take the negative weights of the classifier too."""

REFINED_IMAGE_SIZE = 320
"""Height and width of the images at which recipes were measured."""
