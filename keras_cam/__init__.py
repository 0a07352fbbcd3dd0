"""Class activation maps and boxes from Keras 3 image classifiers, in one forward pass.

`import keras_cam` itself is light: Keras is imported when something that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from keras_cam import export, visualization
    from keras_cam.graph.classification_head import find_classification_head
    from keras_cam.localizer import build_localizer
    from keras_cam.models.build_model import build_model
    from keras_cam.models.registry import list_models

__all__ = [
    "build_localizer",
    "build_model",
    "export",
    "find_classification_head",
    "list_models",
    "visualization",
]

_MODULE_OF = {
    "build_localizer": "keras_cam.localizer",
    "build_model": "keras_cam.models.build_model",
    "find_classification_head": "keras_cam.graph.classification_head",
    "list_models": "keras_cam.models.registry",
}


# `keras.models.load_model` can only read our layers once they are registered: do it as soon as both
# packages are imported, in whichever order.
@wrapt.when_imported("keras")
def _register_layers(_: Any) -> None:
    import_module("keras_cam.layers")


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    if name == "__version__":
        return import_module("importlib.metadata").version("keras-cam")
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. It has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
