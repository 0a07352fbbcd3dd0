"""Pooled features of any network, and linear classifiers on them as Keras models with exact maps.

What is in here is listed in `__init__.pyi` and imported with its first use: features are extracted by other
runtimes without TensorFlow and Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
