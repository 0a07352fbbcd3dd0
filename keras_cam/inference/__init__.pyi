from .files import localize, localize_files
from .gradients import SaliencyLocalizer
from .keras import KerasLocalizer
from .litert import LiteRTLocalizer
from .load import load_classifier, load_localizer
from .localizer import Localizer
from .masks import coco_rle, object_mask, polygons
from .onnx import OnnxLocalizer
from .records import Detection, FailedImage, Localization, localizations, to_dataframe
from .saved_model import SavedModelLocalizer
from .serving import ServingClient, ServingError
from .ten_crops import TenCropLocalizer
from .tiles import TiledLocalizer
from .video import VideoFrame, localize_video

__all__ = [
    "Detection",
    "FailedImage",
    "KerasLocalizer",
    "LiteRTLocalizer",
    "Localization",
    "Localizer",
    "OnnxLocalizer",
    "SaliencyLocalizer",
    "SavedModelLocalizer",
    "ServingClient",
    "ServingError",
    "TenCropLocalizer",
    "TiledLocalizer",
    "VideoFrame",
    "coco_rle",
    "load_classifier",
    "load_localizer",
    "localizations",
    "localize",
    "localize_files",
    "localize_video",
    "object_mask",
    "polygons",
    "to_dataframe",
]
