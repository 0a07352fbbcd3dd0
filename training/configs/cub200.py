"""All of CUB-200-2011: 5 994 images to train on, 5 794 to validate.

    keras-cam train --config cub200 --data CUB_200_2011/
    keras-cam train --config cub200 --data tfds:caltech_birds2011

Not run yet: no more than its first ten classes were at hand. By the time that an image of `cub10` takes, it
needs some hours on two CPU cores.
"""

from keras_cam.training import Augmentation, Stage, TrainingConfig


def get_config() -> TrainingConfig:
    """EfficientNet-Lite0 with the ImageNet weights of its convolutions."""
    return TrainingConfig(
        model="efficientnet_lite0",
        backbone_weights="imagenet",
        classes=200,
        image_size=(320, 320),
        output_stride=16,
        non_negative_head=True,
        validate_every=0,
        checkpoint_every=100,
        stages=(
            Stage(
                epochs=60,
                trains="head",
                optimizer="adamw",
                learning_rate=3e-3,
                weight_decay=0.01,
                label_smoothing=0.1,
            ),
            Stage(
                epochs=10,
                batch_norm="frozen",
                optimizer="adamw",
                learning_rate=1e-4,
                weight_decay=0.01,
                warmup_epochs=1,
                label_smoothing=0.1,
                augmentation=Augmentation(crop_scale=(0.4, 1.0), flip=True),
            ),
        ),
    )
