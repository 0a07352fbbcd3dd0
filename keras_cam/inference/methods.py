"""The methods that make maps, as data. Reading it needs no Keras."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from keras_cam.inference.load import load_classifier
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.runtimes import AUTO, TENSORFLOW, load_fastest
from keras_cam.map_methods.table import AUGMENT, FINER, MAP_METHODS
from keras_cam.recipes import NONE


@dataclass(frozen=True)
class Method:
    """A way to make maps.

    Attributes:
        summary: one line for people.
        load: from the name or file of a model, `refine` (None: the default), `runtime` and the number of
            photos to a localizer, see `keras_cam.inference.runtimes.load_fastest`. Raises a `ValueError` if
            the method cannot be had so.
        is_in_the_graph: whether the maps are made in the graph of the localizer, by what
            `keras_cam.build_localizer` calls a method, and can be refined.
    """

    summary: str
    load: Callable[[str | Path, str | None, str, int], Localizer]
    is_in_the_graph: bool = True


def _gradients(model: str | Path, refine: str | None, runtime: str, photos: int) -> Localizer:
    from keras_cam.inference.gradients import SaliencyLocalizer

    if refine is not None:
        raise ValueError(f"Maps of gradients cannot be refined. Received: refine={refine!r}")
    if runtime not in (AUTO, TENSORFLOW):
        raise ValueError(
            f"Only TensorFlow computes gradients: `runtime` must be {AUTO!r} or {TENSORFLOW!r}. "
            f"Received: runtime={runtime!r}"
        )
    return SaliencyLocalizer(load_classifier(model))


def _ten_crops(model: str | Path, refine: str | None, runtime: str, photos: int) -> Localizer:
    from keras_cam.inference.ten_crops import TenCropLocalizer

    if refine not in (None, NONE):
        raise ValueError(f"Maps of ten crops cannot be refined. Received: refine={refine!r}")
    return TenCropLocalizer(load_fastest(model, runtime, 10 * photos, refine=NONE))


def _in_the_graph(summary: str, name: str | None = None) -> Method:
    def load(model: str | Path, refine: str | None, runtime: str, photos: int) -> Localizer:
        return load_fastest(model, runtime, photos, refine=refine, method=name)

    return Method(summary, load)


_CLOSEST, _VIEWS = "compared with the most similar classes", "the mean over mirrored and resized images"
_OF_HEADS = {name: f"{method.summary} ({method.reference})" for name, method in MAP_METHODS.items()}
_OF_HEADS |= {f"{FINER}{name}": f"{summary}, {_CLOSEST}" for name, summary in _OF_HEADS.items()}
_AUGMENTED = {"cam": "class activation maps", **_OF_HEADS}


METHODS = {
    "cam": _in_the_graph("class activation maps, exact if the head allows it, refined by default"),
    "ten_crops": Method(
        "class activation maps of ten crops of the photo at 256 x 256, merged as the paper's authors do",
        _ten_crops,
        is_in_the_graph=False,
    ),
    "backprop": Method(
        "gradients of the logit (Simonyan et al. 2013), for any classifier",
        _gradients,
        is_in_the_graph=False,
    ),
    **{name: _in_the_graph(summary, name) for name, summary in _OF_HEADS.items()},
    **{
        f"{AUGMENT}{name}": _in_the_graph(f"{summary}, {_VIEWS}", f"{AUGMENT}{name}")
        for name, summary in _AUGMENTED.items()
    },
}
"""The methods by name; from `gradcam` on they make maps for any head of a classifier."""


def methods_help(methods: Mapping[str, Method]) -> str:
    """The meaning of each of some methods, for the help of the command line."""
    plain = {name: row for name, row in methods.items() if not name.startswith((FINER, AUGMENT))}
    listed = [f"{name}: {row.summary}" for name, row in plain.items()]
    finer = f"{FINER}NAME: what sets the class apart from the most similar ones"
    return "; ".join([*listed, finer, f"{AUGMENT}NAME: {_VIEWS}"])
