"""Ten crops of a photo localized together, as the paper's authors evaluate."""

from typing import Any

import keras
import numpy as np

from keras_cam.inference.any_number import any_number_of_images
from keras_cam.inference.localizer import Localizer
from keras_cam.layers import MapDetections
from keras_cam.recipes import THRESHOLD

IMAGE_SIZE = 256
"""Height and width in pixels to which the released program resizes a photo before it cuts out the crops."""

_CELL = 4  # pixels of the photo for a position of the merged map: searching boxes in every pixel is slow


class TenCropLocalizer(Localizer):
    """Localizes by the four corners and the centre of a photo, and by the same mirrored.

    The probability of a class is its mean over the crops. Its map is the sum of the crops' maps, each resized
    to the crop (bicubic), mirrored back, and put where the crop was. As in the released program, the sum is
    of absolute values, and pixels in several crops count several times.

    Args:
        localizer: the localizer of one crop. It should give raw class activation maps, `refine="none"`, and
            take images of less than `image_size`.
        top_k: how many classes `localize` finds.
        threshold: the part of a map's maximum that a box has to exceed.
        image_size: the height and width in pixels of the images from which the crops are cut.

    Attributes:
        size_hw: (image_size, image_size).
        channels: those of the images of a crop.
        classes: the number of classes.
        labels: their names, if the localizer carries any, else None.

    Raises:
        ValueError: the localizer takes larger images than `image_size`.

    Reference:
        Zhou et al., CVPR 2016, section 3.2; `mergeTenCrop.m` and `ILSVRC_generate_heatmap.m` in
        github.com/zhoubolei/CAM.

    Examples:
        >>> import keras_cam
        >>> model = keras_cam.build_model("alexnet_gap", classes=3, input_shape=(67, 67, 3), head_filters=8)
        >>> localizer = TenCropLocalizer(keras_cam.load_localizer(model, refine="none"), image_size=80)
        >>> localizer.cam(np.zeros((1, 80, 80, 3)), [[2, 0]])["class_activation_maps"].shape
        (1, 2, 20, 20)
    """

    def __init__(
        self,
        localizer: Localizer,
        top_k: int = 5,
        threshold: float = THRESHOLD,
        image_size: int = IMAGE_SIZE,
    ) -> None:
        if max(localizer.size_hw) > image_size:
            raise ValueError(
                f"The localizer of a crop must take images of at most {image_size} x {image_size} pixels, "
                f"the size of the whole. Received: size_hw={localizer.size_hw}"
            )
        self.size_hw, self.channels = (image_size, image_size), localizer.channels
        self.classes, self.labels = localizer.classes, localizer.labels
        self.threshold, self.runtime = threshold, localizer.runtime
        self._localizer, self._top_k = localizer, top_k
        self._detections, self._in_order = (
            MapDetections(threshold, boxes_first=first) for first in (True, False)
        )
        height, width = localizer.size_hw
        bottom, right = image_size - height, image_size - width
        self._corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]

    @any_number_of_images
    def localize(self, images: Any) -> dict[str, np.ndarray]:
        """The best classes with boxes and maps, see `keras_cam.build_localizer`."""
        images = np.asarray(images)
        found = self.classify_and_cam(images, np.zeros((len(images), 0), np.int32), self._top_k)
        maps, probabilities = found["class_activation_maps"], np.exp(found["logits"])
        rows = self._detections(maps, found["predicted"], probabilities, images)
        return {name: np.asarray(values) for name, values in rows.items()}

    @any_number_of_images
    def classify(self, images: Any) -> np.ndarray:
        """Logarithms of the mean probabilities, float32 (B, N): logits whose softmax is the mean."""
        logits = [self._localizer.classify(crops) for crops in self._crops(images)]
        probabilities = [np.asarray(keras.ops.softmax(each)) for each in logits]
        return np.log(np.maximum(np.mean(probabilities, axis=0), np.finfo("float32").tiny))

    @any_number_of_images
    def cam(self, images: Any, class_ids: Any) -> dict[str, np.ndarray]:
        """Merged maps, which are never negative, and boxes of chosen classes; see `Localizer.cam`."""
        class_ids, (height, width) = np.asarray(class_ids, np.int32), self._localizer.size_hw
        merged = np.zeros((*class_ids.shape, *self.size_hw), np.float32)
        for index, crops in enumerate(self._crops(images)):
            maps = self._localizer.cam(crops, class_ids)["class_activation_maps"]
            maps = keras.ops.image.resize(
                maps, (height, width), interpolation="bicubic", data_format="channels_first"
            )
            top, left = self._corners[index // 2]
            part = merged[:, :, top : top + height, left : left + width]
            part += np.abs(np.asarray(maps))[..., :: -1 if index % 2 else 1]
        cells = self.size_hw[0] // _CELL
        maps = merged[..., : cells * _CELL, : cells * _CELL]
        maps = maps.reshape(*maps.shape[:2], cells, _CELL, cells, _CELL).mean(axis=(3, 5))
        rows = self._in_order(maps, class_ids, np.zeros((len(maps), self.classes), np.float32), images)
        return {"class_activation_maps": maps, "detection_boxes": np.asarray(rows["detection_boxes"])}

    def _crops(self, images: Any) -> Any:
        """Each of the ten crops of all images, (B, h, w, C): a crop, then the same mirrored."""
        height, width = self._localizer.size_hw
        for top, left in self._corners:
            crops = np.asarray(images)[:, top : top + height, left : left + width]
            yield crops
            yield crops[:, :, ::-1]
