"""The training recipe of the paper's authors, as far as it was released."""

from keras_cam.training.config import Augmentation, Stage, TrainingConfig

_WITH_CAM_CONVOLUTION = ("alexnet_gap", "vgg16_gap", "googlenet_gap")


def paper_recipe(model: str, image_size: tuple[int, int]) -> TrainingConfig:
    """The recipe of the released GoogLeNet-GAP, for any of the paper's networks.

    160 000 steps of 64 images; momentum 0.9; a learning rate of 1e-3 that is divided by 10 every 40 000
    steps; weight decay 5e-4; crops and mirroring. Two things differ from Caffe: it crops 224 of 256 pixels,
    and here crops are 77 to 100 % of the area of the image. And its weight decay is part of the gradient, so
    a momentum of 0.9 multiplies it by ten; that of Keras is not, so it is 5e-3 here. The CAM convolution has
    two groups, as in the released networks.

    The authors started from networks trained on ILSVRC-2012. `backbone_weights=FILE` does so with a file that
    was published for the original; `weights=FILE` continues to train a released network.

    Args:
        model: a name from `keras_cam.list_models()`.
        image_size: the height and width of the crops.

    Returns:
        The configuration, for the data set `imagenet2012` of TensorFlow Datasets.

    Reference:
        Zhou et al., CVPR 2016; the solver released with it, github.com/zhoubolei/CAM.

    Examples:
        >>> recipe = paper_recipe("vgg16_gap", image_size=(224, 224))
        >>> recipe.stages[0].epochs * 1_281_167 // recipe.batch_size
        160145
    """
    return TrainingConfig(
        model=model,
        data="tfds:imagenet2012",
        validation_split="validation",
        backbone_weights="imagenet" if model.startswith("vgg") else None,
        head_groups=2 if model in _WITH_CAM_CONVOLUTION else None,
        classes=1000,
        image_size=image_size,
        batch_size=64,
        checkpoint_every=1000,
        stages=(
            Stage(
                epochs=8,
                learning_rate=1e-3,
                momentum=0.9,
                weight_decay=5e-3,
                schedule="step",
                step_epochs=2,
                augmentation=Augmentation(crop_scale=(0.77, 1.0), crop_ratio=(0.9, 1.1), flip=True),
            ),
        ),
    )
