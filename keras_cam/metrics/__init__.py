"""How well maps and boxes localize, and how faithful they are.

Every class is a `keras.metrics.Metric` with constant state, merged with `merge_state`; results are in [0, 1].

What is in here comes with its first use, see `__init__.pyi`: the protocols are plain NumPy, and processes
that share their work need not wait for Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
