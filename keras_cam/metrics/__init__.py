"""How well maps and boxes localize, and how faithful they are.

Every class is a `keras.metrics.Metric` with constant state, merged with `merge_state`; results are in [0, 1].

The public names are listed in `__init__.pyi` and imported when they are first used, so that processes which
only need the NumPy modules do not import Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
