"""An auto-annotation function for CVAT, https://docs.cvat.ai/docs/api_sdk/sdk/auto-annotation.

cvat-cli task auto-annotate 7 --function-module keras_cam.annotations.cvat -p model=str:cats.keras
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_cam.annotations.selection import Selection
from keras_cam.inference.files import localize
from keras_cam.inference.load import DEFAULT_MODEL, load_localizer
from keras_cam.inference.masks import polygons
from keras_cam.inference.records import Detection, Localization

if TYPE_CHECKING:
    import PIL.Image


class CvatFunction:
    """Detects with a localizer what CVAT asks for: boxes, or masks.

    Args:
        model: what `keras_cam.load_localizer` takes.
        min_score: the lowest score, unless CVAT asks for another one.
        masks: whether shapes are masks in place of rectangles.

    Raises:
        ModuleNotFoundError: cvat-sdk is not installed (`pip install "keras-cam[cvat]"`).
    """

    def __init__(self, model: Any = DEFAULT_MODEL, min_score: float = 0.1, masks: bool = False) -> None:
        self._localizer = load_localizer(model)
        self._min_score, self._masks = min_score, masks

    @property
    def spec(self) -> Any:
        """The labels, numbered as the classes of the model."""
        import cvat_sdk.auto_annotation as cvataa

        kind = "mask" if self._masks else "rectangle"
        names = enumerate(self._localizer.class_names)
        return cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(name, number, type=kind) for number, name in names]
        )

    def detect(self, context: Any, image: "PIL.Image.Image") -> Sequence[Any]:
        """The shapes of an image: a rectangle or a mask for each class, with its score."""
        [record] = localize(np.asarray(image.convert("RGB")), self._localizer)
        threshold = context.conf_threshold
        found = Selection(self._min_score if threshold is None else threshold)(record)
        return [
            shape
            for one in found.boxed
            for shape in self._shapes(found, one, to_polygons=context.conv_mask_to_poly)
        ]

    def _shapes(self, record: Localization, found: Detection, to_polygons: bool) -> list[Any]:
        import cvat_sdk.auto_annotation as cvataa
        from cvat_sdk.masks import encode_mask

        if not self._masks:
            return [cvataa.rectangle(found.class_id, list(found.box_xyxy or ()), score=found.score)]
        mask = np.asarray(record.mask(found))
        if not to_polygons:
            return [cvataa.mask(found.class_id, encode_mask(mask), score=found.score)]
        outlines = (outline.ravel().tolist() for outline in polygons(mask))
        return [cvataa.polygon(found.class_id, outline, score=found.score) for outline in outlines]


create = CvatFunction
"""What `cvat-cli --function-module` calls, with the values of `-p`."""
