"""Layers that are registered as soon as both Keras and this package are imported, in whichever order.

`keras.models.load_model` can only read our layers once they are registered, and `import keras_cam` does not
import Keras.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def register_layers() -> None:
    """Import our layers now if Keras is imported, else right after it will be."""
    if "keras" in sys.modules:
        import_module("keras_cam.layers")
    else:
        sys.meta_path.insert(0, _KerasFinder())


class _KerasFinder:
    """Finds Keras as Python does, and has our layers imported after it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = find_spec("keras")
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            import_module("keras_cam.layers")

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
