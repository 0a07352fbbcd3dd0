"""Class activation maps and boxes from Keras 3 image classifiers, in one forward pass.

`import keras_cam` is fast: Keras is imported on first use. The public names are listed in `__init__.pyi`.
"""

from typing import Any

import lazy_loader

from keras_cam._registration import register_layers

register_layers()

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("keras-cam")
    return _attribute(name)
