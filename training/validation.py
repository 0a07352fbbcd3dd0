"""Judge a model in training on validation images: figures, and pictures of the same images each time.

The localizer that is judged and drawn is the one that the run writes, with images resized as they are when it
localizes photos; `keras_cam.training.image_crop` is for training images only.
"""

from dataclasses import replace

import keras
import numpy as np

from keras_cam.callbacks import localization_logs
from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.drawing.pictures import gallery
from keras_cam.images.files import ImageError
from keras_cam.images.resize import input_size_hw
from keras_cam.inference.files import localize
from keras_cam.inference.keras import KerasLocalizer
from keras_cam.inference.records import Localization
from keras_cam.training.config import TrainingConfig
from keras_cam.training.dataset import validation_dataset

_MOST_MISTAKES = 6


class Validator:
    """Judges a classifier and its localizer on the validation images.

    Args:
        model: the classifier, compiled with loss and metrics.
        localizer: the localizer of the classifier; None if it has no class activation maps.
        annotated: the validation images.
        config: the configuration of the run.
    """

    def __init__(
        self,
        model: keras.Model,
        localizer: KerasLocalizer | None,
        annotated: AnnotatedImages,
        config: TrainingConfig,
    ):
        self._model = model
        self._localizer = localizer
        self._annotated = annotated
        self._config = config
        self._size_hw = input_size_hw(model.inputs[0].shape)
        self._has_boxes = any(len(image.boxes_xyxy) for image in annotated)

    def figures(self) -> dict[str, float]:
        """Loss and classification metrics, and localization metrics if there are maps and boxes.

        Returns:
            The figures; their names begin with `val_`.
        """
        images = validation_dataset(
            self._annotated, self._size_hw, self._config.multi_label, min(32, self._config.batch_size)
        )
        found = self._model.evaluate(images, return_dict=True, verbose=0)
        figures = {f"val_{name}": float(value) for name, value in found.items()}
        if self._localizer is not None and self._has_boxes:
            figures |= localization_logs(self._localizer, self._annotated)
        return figures

    def predictions(self) -> np.ndarray:
        """The predicted class of each image, int64 (images,); -1 for an image that cannot be read."""
        predicted = np.full(len(self._annotated), -1)
        for batch in self._annotated.batches(self._size_hw, min(32, self._config.batch_size)):
            logits = self._model.predict_on_batch(batch.images)[batch.readable]
            predicted[np.array(batch.index)[batch.readable]] = logits.argmax(axis=-1)
        return predicted

    def mistakes(self, predicted: np.ndarray) -> np.ndarray | None:
        """Up to 6 images that are classified wrong, each with the map and box of the class it is taken for.

        Args:
            predicted: what `predictions` returns.

        Returns:
            A picture, uint8 (H, W, 3); None if no image is classified wrong, or without maps.
        """
        wrong = np.flatnonzero((predicted >= 0) & (predicted != self._annotated.labels))
        if self._localizer is None or not len(wrong):
            return None
        pictures = []
        for image, record in self._localized(wrong[_spread(len(wrong), _MOST_MISTAKES)]):
            best = record.detections[0]
            text = f"is {self._annotated.class_names[image.label]}, taken for {best.label}"
            pictures.append(replace(record, detections=(replace(best, label=text),)).picture())
        return gallery(pictures, cell_wh=(320, 240)) if pictures else None

    def pictures(self) -> np.ndarray | None:
        """The same few images each time, with the map and the box of the best class; None without maps."""
        if self._localizer is None:
            return None
        places = _spread(len(self._annotated), self._config.pictures)
        pictures = [record.picture() for _, record in self._localized(places)]
        return gallery(pictures, cell_wh=(320, 240)) if pictures else None

    def _localized(self, places: np.ndarray) -> list[tuple[AnnotatedImage, Localization]]:
        """The images at these places that can be read, and their records."""
        images, photos = [], []
        for place in places:
            image = self._annotated[int(place)]
            try:
                photos.append(image.read())
            except ImageError:  # the figures count it
                continue
            images.append(image)
        return list(zip(images, localize(photos, self._localizer), strict=True))


def _spread(images: int, most: int) -> np.ndarray:
    """At most `most` places spread over all images, which may be sorted by class."""
    return np.linspace(0, images - 1, min(most, images)).round().astype(int)
