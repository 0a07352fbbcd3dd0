"""GoogLeNet-GMP, the paper's comparison with global max pooling, on ILSVRC-2012.

    keras-cam train tfds:imagenet2012 --config imagenet2012_googlenet_gmp

The paper reports a top-1/top-5 error of 35.6/13.9 % and a localization error of 57.78/45.26 %.
Not run yet: 8 epochs of 1.28 million images take days on a GPU.

`--config.backbone_weights=bvlc_googlenet.caffemodel` starts from a trained GoogLeNet.
"""

from dataclasses import replace

from keras_cam.training import TrainingConfig
from keras_cam.training.paper_recipe import paper_recipe


def get_config() -> TrainingConfig:
    """The released recipe."""
    return replace(paper_recipe("googlenet_gap", image_size=(224, 224)), pooling="max")
