"""The networks of `keras.applications` whose head is global average pooling and one linear layer.

Reference:
    https://keras.io/api/applications
"""

import math
from typing import Any

import keras

from keras_cam.graph.classification_head import find_classification_head
from keras_cam.graph.dilation import dilate
from keras_cam.layers import ClassActivationHead
from keras_cam.models.heads import gap_classifier


def application(
    images: keras.KerasTensor,
    classes: int,
    name: str,
    pooling: str = "avg",
    dropout: float = 0.0,
    output_stride: int | None = None,
    backbone_weights: str | None = None,
) -> keras.KerasTensor:
    """The convolutions of a `keras.applications` network with a linear classifier over global pooling.

    Args:
        images: normalized images (B, H, W, 3).
        classes: int.
        name: the constructor's name in `keras.applications`.
        pooling: "avg" or "max".
        dropout: Dropout rate of the pooled features.
        output_stride: 32, 16 or 8, see `dilate`.
        backbone_weights: None or "imagenet", the weights of the convolutions as Keras publishes them.

    Returns:
        Logits (B, classes).
    """
    constructor = getattr(keras.applications, name)
    backbone = constructor(include_top=False, weights=backbone_weights, input_shape=images.shape[1:])
    if name.startswith("EfficientNetB") and backbone_weights is None:
        backbone = _with_published_rescaling(backbone)
    if output_stride is not None:
        backbone = dilate(backbone, output_stride)
    backbone.name = "backbone"
    features = keras.layers.Identity(name="features")(backbone(images))
    return gap_classifier(features, classes, pooling, dropout)


def load_imagenet_classifier(model: keras.Model, name: str) -> None:
    """Load Keras' published ImageNet classifier into the layer `head`.

    Raises:
        ValueError: the published classifier is not one linear layer over global average pooling.
    """
    published = getattr(keras.applications, name)(weights="imagenet")
    classifier = ClassActivationHead(find_classification_head(published).classifier)
    kernel, bias = classifier.affine()
    model.get_layer("head").set_weights(
        [keras.ops.convert_to_numpy(kernel), keras.ops.convert_to_numpy(bias)]
    )


def _with_published_rescaling(backbone: keras.Model) -> keras.Model:
    """Divide by the root of the channels' deviations, as Keras does only if it loads its own weights.

    Otherwise the weights of a pretrained network would give other results in a network built without them.
    """
    rescaling = keras.layers.Rescaling([1 / math.sqrt(deviation) for deviation in (0.229, 0.224, 0.225)])

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        return rescaling(outputs) if isinstance(layer, keras.layers.Normalization) else outputs

    return keras.models.clone_model(backbone, call_function=call)
