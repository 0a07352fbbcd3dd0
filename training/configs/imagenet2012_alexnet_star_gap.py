"""AlexNet*-GAP on ILSVRC-2012 by the recipe that the paper's authors released.

    keras-cam train tfds:imagenet2012 --config imagenet2012_alexnet_star_gap

The paper reports a top-1/top-5 error of 44.9/20.9 % and a localization error of 63.75/49.53 %.
Not run yet: 8 epochs of 1.28 million images take days on a GPU.

`--config.weights=alexnetplusCAM_imagenet.caffemodel` continues to train the released network.
"""

from keras_cam.training import TrainingConfig
from keras_cam.training.paper_recipe import paper_recipe


def get_config() -> TrainingConfig:
    """The released recipe."""
    return paper_recipe("alexnet_star_gap", image_size=(227, 227))
