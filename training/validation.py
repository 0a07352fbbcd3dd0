"""Judge a model in training on validation images: figures, and pictures of the same images each time.

The localizer that is judged and drawn is the one that the run writes, with images resized as they are when it
localizes photos; `keras_cam.training.image_crop` is for training images only.
"""

import keras
import numpy as np

from keras_cam.callbacks import localization_logs
from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.drawing.pictures import gallery
from keras_cam.images.files import ImageError
from keras_cam.images.resize import input_size_hw
from keras_cam.inference.files import localize
from keras_cam.inference.keras import KerasLocalizer
from keras_cam.training.config import TrainingConfig
from keras_cam.training.dataset import validation_dataset


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

    def confusion_matrix(self) -> np.ndarray:
        """How often images of each class are classified as each class.

        Returns:
            int64 (classes, classes): the rows are the true main classes, the columns the predicted ones.
            Images that cannot be read are left out.
        """
        classes = len(self._annotated.class_names)
        counts = np.zeros((classes, classes), np.int64)
        labels = self._annotated.labels
        for batch in self._annotated.batches(self._size_hw, min(32, self._config.batch_size)):
            logits = self._model.predict_on_batch(batch.images)[batch.readable]
            np.add.at(counts, (labels[np.array(batch.index)[batch.readable]], logits.argmax(axis=-1)), 1)
        return counts

    def pictures(self) -> np.ndarray | None:
        """The same few images each time, with the map and the box of the best class; None without maps."""
        if self._localizer is None:
            return None
        records = localize(self._photos(), self._localizer)
        pictures = [record.picture() for record in records]
        return gallery(pictures, cell_wh=(320, 240)) if pictures else None

    def _photos(self) -> list[np.ndarray]:
        photos = []
        for image in self._chosen():
            try:
                photos.append(image.read())
            except ImageError:  # the figures count it
                continue
        return photos

    def _chosen(self) -> list[AnnotatedImage]:
        """Images spread over the whole data set, which may be sorted by class."""
        count = min(self._config.pictures, len(self._annotated))
        places = np.linspace(0, len(self._annotated) - 1, count).round().astype(int)
        return [self._annotated[int(place)] for place in places]
