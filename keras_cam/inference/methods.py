"""The methods that make maps, as data. Reading it needs no Keras."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_cam.inference.load import load_classifier, load_localizer
from keras_cam.inference.localizer import Localizer
from keras_cam.recipes import NONE


@dataclass(frozen=True)
class Method:
    """A way to make maps.

    Attributes:
        summary: one line for people.
        load: from the name or file of a model and `refine` (None: the default) to a localizer.
    """

    summary: str
    load: Callable[[str | Path, str | None], Localizer]


def _class_activation_maps(model: str | Path, refine: str | None) -> Localizer:
    return load_localizer(model, refine=refine)


def _gradients(model: str | Path, refine: str | None) -> Localizer:
    from keras_cam.inference.gradients import SaliencyLocalizer

    if refine is not None:
        raise ValueError(f"Maps of gradients cannot be refined. Received: refine={refine!r}")
    return SaliencyLocalizer(load_classifier(model))


def _ten_crops(model: str | Path, refine: str | None) -> Localizer:
    from keras_cam.inference.ten_crops import TenCropLocalizer

    if refine not in (None, NONE):
        raise ValueError(f"Maps of ten crops cannot be refined. Received: refine={refine!r}")
    return TenCropLocalizer(load_localizer(model, refine=NONE))


METHODS = {
    "cam": Method("class activation maps, exact, refined by default", _class_activation_maps),
    "ten_crops": Method(
        "class activation maps of ten crops of the photo at 256 x 256, merged as the paper's authors do",
        _ten_crops,
    ),
    "backprop": Method("gradients of the logit (Simonyan et al. 2013), for any classifier", _gradients),
}
