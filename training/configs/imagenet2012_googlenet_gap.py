"""GoogLeNet-GAP on ILSVRC-2012 by the recipe that the paper's authors released.

    keras-cam train tfds:imagenet2012 --config imagenet2012_googlenet_gap

The paper reports a top-1/top-5 error of 35.0/13.2 % and a localization error of 56.40/43.00 %.
Not run yet: 8 epochs of 1.28 million images take days on a GPU.

The authors started from a trained GoogLeNet, as `--config.backbone_weights=bvlc_googlenet.caffemodel` does.
`--config.weights=imagenet_googleletCAM_train_iter_120000.caffemodel` continues to train their GoogLeNet-GAP.
"""

from keras_cam.training import TrainingConfig
from keras_cam.training.paper_recipe import paper_recipe


def get_config() -> TrainingConfig:
    """The released recipe."""
    return paper_recipe("googlenet_gap", image_size=(224, 224))
