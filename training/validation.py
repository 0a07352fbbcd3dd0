"""How good the classifier is between epochs: figures, and pictures of the same images each time."""

from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.drawing.pictures import display_size, draw_localization, gallery
from keras_cam.evaluation.run import evaluate
from keras_cam.images.files import ImageError
from keras_cam.images.resize import input_size_hw
from keras_cam.inference.records import localizations
from keras_cam.localizer import build_localizer
from keras_cam.models.registry import MODELS
from keras_cam.training.config import TrainingConfig
from keras_cam.training.dataset import validation_dataset
from keras_cam.training.image_crop import resize

if TYPE_CHECKING:
    from keras_cam.evaluation.results import Evaluation

LOCALIZATION_RATES = (
    "localization_top1_error",
    "localization_top5_error",
    "gt_known_accuracy",
    "pointing_game",
)


class Validator:
    """Judges a classifier on the validation images.

    Args:
        model: the classifier, compiled with the loss and the metrics that count.
        annotated: the images.
        config: the configuration of the run.
    """

    def __init__(self, model: keras.Model, annotated: AnnotatedImages, config: TrainingConfig):
        self._model = model
        self._annotated = annotated
        self._config = config
        self._size_hw = input_size_hw(model.inputs[0].shape)
        self._localizer = build_localizer(model) if has_maps(config) else None
        self._has_boxes = any(len(image.boxes_xyxy) for image in annotated)

    def figures(self) -> dict[str, float]:
        """Loss and classification as `val_…`, and localization if there are maps and boxes."""
        images = validation_dataset(
            self._annotated, self._size_hw, self._config.multi_label, min(32, self._config.batch_size)
        )
        found = self._model.evaluate(images, return_dict=True, verbose=0)
        figures = {f"val_{name}": float(value) for name, value in found.items()}
        if self._localizer is not None and self._has_boxes:
            judged = self.evaluation().to_dict()
            figures |= {f"val_{rate}": judged[rate] for rate in LOCALIZATION_RATES}
            figures["val_max_box_acc_v2"] = judged["max_box_acc_v2"]["value"]
        return figures

    def evaluation(self) -> "Evaluation":
        """All figures of the model as a localizer, by the rule of the paper."""
        return evaluate(self._localizer, self._annotated, model_name=self._config.model)

    def pictures(self) -> np.ndarray | None:
        """The same few images each time, with the map and the box of the best class; None without maps."""
        if self._localizer is None:
            return None
        drawn = [picture for image in self._chosen() if (picture := self._draw(image)) is not None]
        return gallery(drawn, cell_wh=(320, 240)) if drawn else None

    def _chosen(self) -> list[AnnotatedImage]:
        """Images from all over the data set."""
        count = min(self._config.pictures, len(self._annotated))
        places = np.linspace(0, len(self._annotated) - 1, count).round().astype(int)
        return [self._annotated[int(place)] for place in places]

    def _draw(self, image: AnnotatedImage) -> np.ndarray | None:
        try:
            photo = image.read()
        except ImageError:  # it is told with the figures
            return None
        outputs = self._localizer(resize(photo, self._size_hw)[None].astype(np.float32))  # type: ignore[misc]
        outputs = {name: np.asarray(value) for name, value in outputs.items()}
        size_wh = (photo.shape[1], photo.shape[0])
        [record] = localizations(outputs, [image.name], [size_wh], self._annotated.class_names)
        return draw_localization(display_size(photo), record)


def has_maps(config: TrainingConfig) -> bool:
    """Whether the network has exact class activation maps; those that have none can be trained, too.

    Examples:
        >>> from keras_cam.training.config import Stage
        >>> has_maps(TrainingConfig((Stage(1, 0.1),), pooling="max"))
        False
    """
    known = MODELS.get(config.model)
    return config.pooling != "max" and (known is None or known.map_size is not None)
