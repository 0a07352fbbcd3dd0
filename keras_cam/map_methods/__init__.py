"""Methods that make maps from the features, logits and gradients of a classifier's head."""

from keras_cam.map_methods.evidence import Evidence
from keras_cam.map_methods.table import MAP_METHODS, MapMethod

__all__ = ["MAP_METHODS", "Evidence", "MapMethod"]
