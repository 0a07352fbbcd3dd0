from .boxes import draw_boxes
from .pictures import COLORMAPS, display_size, draw_localization, figure, gallery, overlay

__all__ = [
    "COLORMAPS",
    "display_size",
    "draw_boxes",
    "draw_localization",
    "figure",
    "gallery",
    "overlay",
]
