"""The names of a localizer's inputs and layers, by which other modules find them.

Reading it needs no Keras.
"""

IMAGES = "images"
"""The input of pixels."""

CLASS_IDS = "class_ids"
"""The input of asked classes, of a localizer with `class_ids="input"`."""

BACKBONE = "backbone"
"""From images to mid-level features, if maps are refined, and to the features that are pooled."""

HEAD = "class_activation_head"
"""The classifier: from features to logits, and to class activation maps."""

LABELS = "labels"
"""The layer that carries the names of the classes, if there are any."""

SCORES = "scores"
"""From logits to probabilities."""

SELECTION = "class_selection"
"""The classes that get rows."""

ALIGNED_FEATURES = "aligned_features"
"""Mid-level features on the grid of the refined maps."""

LOCALIZATION_MAPS = "localization_maps"
"""Refined maps in [0, 1]; also the name of the output."""

DETECTIONS = "detections"
"""From maps to boxes and to the rows of the output."""
