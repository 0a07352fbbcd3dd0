"""VGGnet-GAP on ILSVRC-2012 by the recipe that the paper's authors released.

    keras-cam train tfds:imagenet2012 --config imagenet2012_vgg16_gap

The paper reports a top-1/top-5 error of 33.4/12.2 % and a localization error of 57.20/45.14 %.
Not run yet: 8 epochs of 1.28 million images take days on a GPU.

It starts from the convolutions of VGG16 that Keras publishes. With a file instead:
`--config.backbone_weights=VGG_ILSVRC_16_layers.caffemodel`. To continue to train the released VGGnet-GAP:
`--config.weights=vgg16CAM_train_iter_90000.caffemodel`.
"""

from keras_cam.training import TrainingConfig
from keras_cam.training.paper_recipe import paper_recipe


def get_config() -> TrainingConfig:
    """The released recipe."""
    return paper_recipe("vgg16_gap", image_size=(224, 224))
