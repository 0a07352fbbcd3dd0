from .evidence import Evidence
from .table import FINER, MAP_METHODS, MapMethod, map_method

__all__ = ["FINER", "MAP_METHODS", "Evidence", "MapMethod", "map_method"]
