"""Train on a few hundred images: first the head of a pretrained network, then gently all of it."""

from keras_cam.training.config import Augmentation, Stage, TrainingConfig


def transfer_recipe(
    image_size: int,
    head_epochs: int,
    epochs: int,
    learning_rate: float = 1e-4,
    warmup_epochs: float = 0.0,
    smallest_crop: float = 0.4,
) -> TrainingConfig:
    """EfficientNet-Lite0 with the ImageNet weights of its convolutions, adapted to other classes.

    The head is trained on features of the frozen network, which are computed once. Then all layers are
    trained with a low learning rate: with a higher one, or for more epochs, the classifier gets better, but
    maps shrink to the most telling part of the object, such as the head of a bird. Maps twice as fine, a
    larger image and a head without negative weights make the boxes better. At the end the localizer learns
    what is foreground from the training images.

    Validation is after the last epoch of each stage only: an epoch of the head takes a fraction of a second
    for some hundred images, and their validation takes longer than all epochs of the head together.
    `dataclasses.replace(recipe, validate_every=1)` validates after every epoch.

    Args:
        image_size: the height and width of the images.
        head_epochs: the epochs of the first stage.
        epochs: the epochs of the second stage.
        learning_rate: the learning rate of the second stage.
        warmup_epochs: see `Stage`, for the second stage.
        smallest_crop: the smallest fraction of an image that a crop keeps, in the second stage.

    Examples:
        >>> [stage.trains for stage in transfer_recipe(image_size=320, head_epochs=60, epochs=4).stages]
        ['head', 'all']
    """
    head = Stage(
        epochs=head_epochs,
        trains="head",
        optimizer="adamw",
        learning_rate=3e-3,
        weight_decay=0.01,
        label_smoothing=0.1,
    )
    everything = Stage(
        epochs=epochs,
        batch_norm="frozen",
        optimizer="adamw",
        learning_rate=learning_rate,
        weight_decay=0.01,
        warmup_epochs=warmup_epochs,
        label_smoothing=0.1,
        augmentation=Augmentation(crop_scale=(smallest_crop, 1.0), flip=True),
    )
    return TrainingConfig(
        stages=(head, everything),
        model="efficientnet_lite0",
        backbone_weights="imagenet",
        image_size=(image_size, image_size),
        output_stride=16,
        non_negative_head=True,
        batch_size=16,
        validate_every=0,
        foreground=True,
    )
