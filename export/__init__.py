"""A localizer as one artefact that gives classes, maps and boxes where it runs.

What is in here is listed in `__init__.pyi` and imported with its first use. The formats are the rows of
`keras_cam.formats.FORMATS`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
