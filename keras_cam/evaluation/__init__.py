"""How well a localizer classifies and localizes: figures, their table and their page.

What is in here is listed in `__init__.pyi` and imported with its first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
