"""The names of a localizer's inputs and layers; other modules find them by these.

Importing this module does not import Keras.
"""

IMAGES = "images"
"""The input of images."""

CLASS_IDS = "class_ids"
"""The input of class indices, in a localizer with `class_ids="input"`."""

BACKBONE = "backbone"
"""From images to the pooled features and, if maps are refined, to mid-level features."""

HEAD = "class_activation_head"
"""The classifier: from features to logits and to class activation maps."""

AUGMENTED_MAPS = "augmented_maps"
"""The mean of the maps of several views, if there are any."""

LABELS = "labels"
"""The layer with the class names, if there are any."""

SCORES = "scores"
"""From logits to probabilities."""

SELECTION = "class_selection"
"""Selects the classes that get rows."""

ALIGNED_FEATURES = "aligned_features"
"""Resizes mid-level features to the grid of the refined maps."""

CROPS = "crops"
"""Cuts out of the images what the second look sees."""

LOCALIZATION_MAPS = "localization_maps"
"""Refined maps in [0, 1]; also the name of the output."""

DETECTIONS = "detections"
"""From maps to boxes and the rows of the outputs."""
