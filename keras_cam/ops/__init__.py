"""Pure functions on tensors (`keras.ops`): class activation maps, components, boxes."""

from keras_cam.ops.boxes import boxes_from_maps
from keras_cam.ops.class_activation_maps import class_activation_maps
from keras_cam.ops.components import surface_components

__all__ = ["boxes_from_maps", "class_activation_maps", "surface_components"]
