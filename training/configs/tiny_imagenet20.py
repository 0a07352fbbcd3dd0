"""Twenty classes of Tiny-ImageNet from scratch.

keras-cam train --config tiny_imagenet20 --data tiny_imagenet20/
"""

from keras_cam.training import Augmentation, Stage, TrainingConfig


def get_config() -> TrainingConfig:
    """A small GoogLeNet-GAP from scratch."""
    return TrainingConfig(
        model="keras_cam.training.small_networks:small_googlenet",
        batch_size=64,
        validate_every=0,
        cache="memory",
        stages=(
            Stage(
                epochs=12,
                learning_rate=0.05,
                weight_decay=5e-4,
                warmup_epochs=1,
                clip_norm=1.0,
                augmentation=Augmentation(crop_scale=(0.5, 1.0), flip=True),
            ),
        ),
    )
