"""The networks of `keras.applications` with global average pooling and one linear layer.

The pooled features of ConvNeXt are normalized before the linear layer.

Reference:
    https://keras.io/api/applications
"""

import math
from typing import Any

import keras

from keras_cam.graph.classification_head import find_classification_head
from keras_cam.layers import ClassActivationHead
from keras_cam.models.heads import backbone_classifier


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
    norm = None
    if name.startswith("ConvNeXt"):
        # Without its head, the last layer of Keras' network normalizes each position instead.
        norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype="float32", name="norm")
        backbone = keras.Model(backbone.input, backbone.layers[-1].input)
    return backbone_classifier(backbone, images, classes, pooling, dropout, output_stride, norm)


def load_imagenet_classifier(model: keras.Model, name: str) -> None:
    """Load Keras' published ImageNet classifier into the layer `head`.

    Raises:
        ValueError: the published classifier is not one linear layer over global average pooling.
    """
    published = getattr(keras.applications, name)(weights="imagenet")
    if name.startswith("ConvNeXt"):
        *_, norm, head = published.layers
        model.get_layer("norm").set_weights(norm.get_weights())
        model.get_layer("head").set_weights(head.get_weights())
        return
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
