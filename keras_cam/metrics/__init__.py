"""Metrics of localization, and of how faithful maps are to the classifier.

Every class is a `keras.metrics.Metric` whose state has a fixed size and is merged with `merge_state`. Results
are in [0, 1].

The public names are listed in `__init__.pyi` and imported when they are first used, so that processes which
only need the NumPy modules do not import Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
