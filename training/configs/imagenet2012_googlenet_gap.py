"""GoogLeNet-GAP on ILSVRC-2012 by the recipe that the paper's authors released.

    keras-cam train tfds:imagenet2012 --config imagenet2012_googlenet_gap

The paper reports a top-1/top-5 error of 35.0/13.2 % and a localization error of 56.40/43.00 %. Not run yet:
it takes 1.28 million images 8 times, days on a GPU. The authors began from a trained GoogLeNet, which was
never published for Keras: `--config.weights=FILE.weights.h5` begins from your own.
"""

from keras_cam.training import TrainingConfig
from keras_cam.training.paper_recipe import paper_recipe


def get_config() -> TrainingConfig:
    """The released recipe."""
    return paper_recipe("googlenet_gap", image_size=(224, 224))
