"""NIN on ILSVRC-2012 by the recipe that the paper's authors released.

    keras-cam train tfds:imagenet2012 --config imagenet2012_nin_gap

The paper reports a top-1/top-5 error of 41.9/19.6 % and a localization error of 65.47/54.19 %.
Not run yet: 8 epochs of 1.28 million images take days on a GPU.

`--config.weights=nin_imagenet.caffemodel` continues to train the published network.
"""

from keras_cam.training import TrainingConfig
from keras_cam.training.paper_recipe import paper_recipe


def get_config() -> TrainingConfig:
    """The released recipe."""
    return paper_recipe("nin_gap", image_size=(227, 227))
