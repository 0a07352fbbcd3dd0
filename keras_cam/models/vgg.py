"""VGG16 and VGG19, with their fully connected layers and with global average pooling.

References:
    Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015.
    Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016, section 3.
"""

import keras

from keras_cam.models.heads import cam_convolution, fully_connected_classifier, gap_classifier

VARIANTS = {
    "vgg16": {"application": keras.applications.VGG16, "last_convolution": "block5_conv3"},
    "vgg19": {"application": keras.applications.VGG19, "last_convolution": "block5_conv4"},
}


def _convolutional_base(
    images: keras.KerasTensor, name: str, backbone_weights: str | None = None
) -> keras.Model:
    if name not in VARIANTS:
        raise ValueError(f"`name` must be one of {tuple(VARIANTS)}. Received: name={name!r}")
    # The builder of Keras gives the layers the names that they have in its published weights.
    return VARIANTS[name]["application"](
        include_top=False, weights=backbone_weights, input_tensor=images, name=name
    )


def vgg_convolutions(
    images: keras.KerasTensor, name: str, backbone_weights: str | None = None
) -> keras.KerasTensor:
    """All convolutions of a VGG, without the last pooling.

    Args:
        images: Normalized images of any size, (batch, height, width, 3).
        name: "vgg16" or "vgg19".
        backbone_weights: None or "imagenet", the published weights of the convolutions.

    Returns:
        (batch, height, width, 512), a sixteenth of the image's size: 14x14 for images of 224x224.

    Raises:
        ValueError: `name` is neither "vgg16" nor "vgg19".
    """
    base = _convolutional_base(images, name, backbone_weights)
    return base.get_layer(VARIANTS[name]["last_convolution"]).output


def vgg(
    images: keras.KerasTensor,
    classes: int,
    name: str,
    dropout: float = 0.5,
    backbone_weights: str | None = None,
) -> keras.KerasTensor:
    """The original: 138,357,544 (VGG16) or 143,667,240 (VGG19) parameters for 1000 classes at 224x224.

    Args:
        images: Normalized images of a fixed size, (batch, height, width, 3).
        classes: Number of classes.
        name: "vgg16" or "vgg19".
        dropout: Dropout rate of the units of `fc1` and `fc2`.
        backbone_weights: None or "imagenet", the published weights of the convolutions.

    Returns:
        Logits, (batch, classes), float32.
    """
    pooled = _convolutional_base(images, name, backbone_weights).output
    return fully_connected_classifier(pooled, classes, names=("fc1", "fc2"), dropout=dropout)


def vgg_gap(
    images: keras.KerasTensor,
    classes: int,
    name: str,
    pooling: str = "avg",
    head_filters: int = 1024,
    head_groups: int = 1,
    dropout: float = 0.5,
    backbone_weights: str | None = None,
) -> keras.KerasTensor:
    """VGGnet-GAP: cut after the last convolution, then the CAM convolution and a pooled linear classifier.

    Args:
        images: Normalized images of any size, (batch, height, width, 3).
        classes: Number of classes.
        name: "vgg16" (the paper's) or "vgg19".
        pooling: "avg" or "max".
        head_filters: Number of maps of the CAM convolution.
        head_groups: Its channel groups.
        dropout: Dropout rate of the pooled features.
        backbone_weights: None or "imagenet", the published weights of the convolutions.

    Returns:
        Logits, (batch, classes), float32; the maps behind them are 14x14 for images of 224x224.
    """
    features = cam_convolution(vgg_convolutions(images, name, backbone_weights), head_filters, head_groups)
    return gap_classifier(features, classes, pooling, dropout)


def load_imagenet_classifier(model: keras.Model, name: str) -> None:
    """Load the published fully connected layers into those of a `vgg` for 1000 classes at 224x224."""
    published = VARIANTS[name]["application"](weights="imagenet")
    for ours, theirs in (("fc1", "fc1"), ("fc2", "fc2"), ("head", "predictions")):
        model.get_layer(ours).set_weights(published.get_layer(theirs).get_weights())
