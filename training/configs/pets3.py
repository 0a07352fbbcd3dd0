"""Three breeds of Oxford-IIIT Pet: 300 images to train on, 298 to validate.

    keras-cam train pets3/ --config pets3

One run took 334 CPU seconds, without the foreground: 3 minutes on two cores that do nothing else. The time
is proportional to the number of photos. With three seeds, without the foreground:
accuracy 97 to 98 %, GT-known localization by the paper's rule, which is `refine="none"`, 90, 91 and 85 % (a
box in the middle: 86 %).

Validation is after the last epoch of each stage only: it takes longer than all epochs of the head together.
`--config.validate_every=1` validates after every epoch.
"""

from keras_cam.training import TrainingConfig
from keras_cam.training.transfer_recipe import transfer_recipe


def get_config() -> TrainingConfig:
    """Smaller images than `cub10`: the animals are large."""
    return transfer_recipe(image_size=288, head_epochs=30, epochs=3, learning_rate=2e-4, smallest_crop=0.6)
