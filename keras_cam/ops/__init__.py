"""Pure functions on tensors (`keras.ops`): class activation maps, components, boxes."""

# Keras before our own modules: importing it also registers our layers (see `keras_cam/__init__.py`), and
# these import the modules below.
import keras  # noqa: F401

from keras_cam.ops.boxes import boxes_from_maps
from keras_cam.ops.components import connected_components
from keras_cam.ops.gathering import gather_rows
from keras_cam.ops.maps import class_activation_maps

__all__ = ["boxes_from_maps", "class_activation_maps", "connected_components", "gather_rows"]
