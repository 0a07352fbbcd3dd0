"""Export localizers to SavedModel, LiteRT, MediaPipe, ONNX and web pages.

The public names are listed in `__init__.pyi` and imported on first use. The formats are listed in
`keras_cam.formats.FORMATS`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
