"""The layers after the backbone: the CAM convolution and the classifiers."""

import keras

from keras_cam.graph.dilation import dilate

POOLERS = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}


def cam_convolution(features: keras.KerasTensor, filters: int = 1024, groups: int = 1) -> keras.KerasTensor:
    """The 3x3 convolution with ReLU that replaces the fully connected layers, named `features`.

    Args:
        features: Last maps of the backbone, (batch, height, width, channels).
        filters: Number of maps to make; 1024 in the paper.
        groups: Number of channel groups; the released networks have 2.

    Returns:
        Maps of the same height and width, (batch, height, width, filters).

    Raises:
        ValueError: `filters` or the channels of `features` cannot be divided into `groups`.

    Reference:
        Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016, section 3.
    """
    channels = features.shape[-1]
    if groups < 1 or filters % groups or channels % groups:
        raise ValueError(
            "`groups` of the CAM convolution must be a positive divisor of both its filters and its input "
            f"channels. Received: groups={groups}, filters={filters}, input channels={channels}"
        )
    convolution = keras.layers.Conv2D(
        filters, 3, padding="same", activation="relu", groups=groups, name="features"
    )
    return convolution(features)


def global_pooling(maps: keras.KerasTensor, pooling: str = "avg") -> keras.KerasTensor:
    """Pools maps (batch, height, width, channels) into a float32 vector (batch, channels), named `pooler`.

    Raises:
        ValueError: `pooling` is neither "avg" nor "max".
    """
    if pooling not in POOLERS:
        raise ValueError(f"`pooling` must be one of {tuple(POOLERS)}. Received: pooling={pooling!r}")
    return POOLERS[pooling](name="pooler", dtype="float32")(maps)


def gap_classifier(
    features: keras.KerasTensor,
    classes: int,
    pooling: str = "avg",
    dropout: float = 0.0,
    normalization: keras.layers.Layer | None = None,
) -> keras.KerasTensor:
    """Global pooling and one linear layer: the classifier whose weights make the maps.

    The layers are named `pooler`, `dropout` (only if there is one) and `head`. They compute in float32
    under every dtype policy, because a mean over many positions loses too much precision in float16.

    Args:
        features: Last convolutional activations, (batch, height, width, channels).
        classes: Number of classes.
        pooling: "avg" (GAP, the paper's choice) or "max" (GMP, its comparison).
        dropout: Dropout rate of the pooled features.
        normalization: a layer between pooling and dropout.

    Returns:
        Logits, (batch, classes), float32.

    Raises:
        ValueError: `pooling` is neither "avg" nor "max".

    Reference:
        Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016, section 2.
    """
    pooled = global_pooling(features, pooling)
    if normalization is not None:
        pooled = normalization(pooled)
    if dropout:
        pooled = keras.layers.Dropout(dropout, dtype="float32", name="dropout")(pooled)
    return keras.layers.Dense(classes, dtype="float32", name="head")(pooled)


def backbone_classifier(
    backbone: keras.Model,
    images: keras.KerasTensor,
    classes: int,
    pooling: str = "avg",
    dropout: float = 0.0,
    output_stride: int | None = None,
    normalization: keras.layers.Layer | None = None,
) -> keras.KerasTensor:
    """Convolutions as one layer named `backbone`, then `gap_classifier` over their output, named `features`.

    Args:
        backbone: From images to the last maps.
        images: Normalized images, (batch, height, width, 3).
        classes: Number of classes.
        pooling: "avg" or "max".
        dropout: Dropout rate of the pooled features.
        output_stride: 32, 16 or 8, see `keras_cam.graph.dilation.dilate`; None for the network's own.
        normalization: A layer between pooling and dropout.

    Returns:
        Logits, (batch, classes), float32.

    Raises:
        ValueError: `pooling` is neither "avg" nor "max", or the backbone cannot have this `output_stride`.
    """
    if output_stride is not None:
        backbone = dilate(backbone, output_stride)
    backbone.name = "backbone"
    features = keras.layers.Identity(name="features")(backbone(images))
    return gap_classifier(features, classes, pooling, dropout, normalization)


def fully_connected_classifier(
    features: keras.KerasTensor, classes: int, names: tuple[str, str], dropout: float = 0.5
) -> keras.KerasTensor:
    """The classifier of the original AlexNet and VGG: two layers of 4096 units, then a linear `head`.

    Args:
        features: Pooled maps of a fixed size, (batch, height, width, channels).
        classes: Number of classes.
        names: Names of the two hidden layers; each one's dropout is called `<name>_dropout`.
        dropout: Dropout rate of the hidden units.

    Returns:
        Logits, (batch, classes), float32.

    Raises:
        ValueError: The height or width of `features` is unknown.
    """
    if None in features.shape[1:]:
        raise ValueError(
            "A network with fully connected layers needs images of a fixed size: give `input_shape` as "
            "(height, width, 3) without None, or choose the network's GAP version, which takes any size. "
            f"Received: feature maps of shape {features.shape}"
        )
    x = keras.layers.Flatten(name="flatten")(features)
    for name in names:
        x = keras.layers.Dense(4096, activation="relu", name=name)(x)
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return keras.layers.Dense(classes, dtype="float32", name="head")(x)
