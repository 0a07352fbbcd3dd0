"""Localizers, whatever runs them, and records of what they find in photos.

What is in here is listed in `__init__.pyi` and imported with its first use: a LiteRT file runs without
TensorFlow and Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
