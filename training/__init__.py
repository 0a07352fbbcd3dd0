"""Train classifiers whose class activation maps localize, from image labels, on one machine or on many.

What is in here is listed in `__init__.pyi` and imported with its first use, so configurations need no
TensorFlow.

>>> from keras_cam.training import TrainingConfig, train
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
