"""Your own photos, a folder for each class: what `keras-cam train photos/` does.

    keras-cam train photos/ --config transfer

The network is EfficientNet-Lite0 with its ImageNet weights. A fifth of the photos of each class is held back
for validation, unless the data have a split for it; `--validation` chooses others. First the head is trained,
then gently all layers, until the validation accuracy stops rising; then the localizer learns from the
training photos what is foreground. With more than 1,000 photos there are fewer epochs, so that training does
not take longer. All of it uses labels only, and no boxes.
"""

import dataclasses

from keras_cam.training import TrainingConfig
from keras_cam.training.config import AUTO
from keras_cam.training.transfer_recipe import transfer_recipe


def get_config() -> TrainingConfig:
    """The recipe of `cub10` for any data, with the epoch of the best accuracy."""
    recipe = transfer_recipe(image_size=320, head_epochs=60, epochs=3)
    head, everything = recipe.stages
    return dataclasses.replace(
        recipe,
        stages=(head, dataclasses.replace(everything, patience=1)),
        train_split=AUTO,
        validation_split=AUTO,
        select="accuracy",
        full_epochs_up_to=1000,
    )
