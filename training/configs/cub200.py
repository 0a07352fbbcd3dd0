"""All of CUB-200-2011: 5 994 images to train on, 5 794 to validate.

    keras-cam train CUB_200_2011/ --config cub200
    keras-cam train tfds:caltech_birds2011 --config cub200

Not run yet: only its first ten classes were available. At the speed of `cub10`, it takes some hours on two
CPU cores.
"""

from dataclasses import replace

from keras_cam.training import TrainingConfig
from keras_cam.training.transfer_recipe import transfer_recipe


def get_config() -> TrainingConfig:
    """As `cub10`, for longer and in larger batches."""
    recipe = transfer_recipe(image_size=320, head_epochs=60, epochs=10, warmup_epochs=1)
    return replace(recipe, classes=200, batch_size=32, checkpoint_every=100)
