"""Pictures of what was found: maps, boxes and labels over photos.

What is in here is listed in `__init__.pyi` and imported with its first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
