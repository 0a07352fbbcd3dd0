"""Registers the layers once both Keras and this package are imported, in any order.

`keras.models.load_model` can only load registered layers, and `import keras_cam` does not import Keras.

The first to import Keras may be `keras_cam.layers` itself, not yet complete; so modules of `graph` import
layers from the file of each.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def register_layers() -> None:
    """Import all layers now if Keras is imported, else right after its import."""
    if "keras" in sys.modules:
        import_module("keras_cam.graph.differentiable_head")
    else:
        sys.meta_path.insert(0, _KerasFinder())


class _KerasFinder:
    """Finds Keras in the normal way, and imports the layers after it."""

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
            import_module("keras_cam.graph.differentiable_head")

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
