"""Twenty classes of Tiny-ImageNet from scratch: 10 000 images of 64x64 to train on, 1 000 to validate.

    keras-cam train tiny_imagenet20/ --config tiny_imagenet20

About 3 minutes on two CPU cores, in proportion to the number of photos: 2 s for each 100 photos to train on.
Accuracy 61 %, GT-known localization 51 % (a box in the middle: 52 %).

Validation is after the last epoch only: it takes about half as long as an epoch.
`--config.validate_every=1` validates after every epoch.
"""

from keras_cam.training import Augmentation, Stage, TrainingConfig


def get_config() -> TrainingConfig:
    """A small GoogLeNet-GAP with batch normalization."""
    return TrainingConfig(
        model="keras_cam.training.small_networks:small_googlenet_bn",
        batch_size=64,
        validate_every=0,
        cache="memory",
        stages=(
            Stage(
                epochs=10,
                learning_rate=0.1,
                weight_decay=5e-4,
                warmup_epochs=1,
                clip_norm=1.0,
                augmentation=Augmentation(crop_scale=(0.5, 1.0), flip=True),
            ),
        ),
    )
