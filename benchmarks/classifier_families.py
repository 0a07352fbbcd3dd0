"""The classifiers of keras.applications, keras_hub and kimm: a small member of each family, random weights.

Importing this file imports neither keras_hub nor kimm.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers

CLASSES = 5

# The smallest member of each family, and the image size at which its features have at least 2 x 2 cells.
APPLICATIONS = {
    "ConvNeXtTiny": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "InceptionResNetV2": 128,
    "InceptionV3": 128,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "NASNetMobile": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "VGG16": 64,
    "Xception": 96,
}

KIMM = {
    "ConvMixer736D32": 64,
    "ConvNeXtAtto": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetLiteB0": 64,
    "EfficientNetV2B0": 64,
    "GhostNetW050": 64,
    "GhostNetV2W100": 64,
    "GhostNetV3W050": 64,
    "HGNetTiny": 64,
    "HGNetV2B0": 64,
    "InceptionNeXtTiny": 64,
    "InceptionV3": 128,
    "LCNet035": 64,
    "MobileNetV2W050": 64,
    "MobileNetV3W050Small": 64,
    "MobileNetV3W100SmallMinimal": 64,
    "MobileOneS0": 64,
    "MobileViTXXS": 128,
    "MobileViTV2W050": 128,
    "RegNetX002": 64,
    "RegNetY002": 64,
    "RepVGGA0": 64,
    "ResNet18": 64,
    "TinyNetE": 64,
    "VGG11": 224,
    "VisionTransformerTiny16": 64,
    "Xception": 96,
}


def application(name: str) -> keras.Model:
    shape = (APPLICATIONS[name], APPLICATIONS[name], 3)
    return getattr(keras.applications, name)(weights=None, input_shape=shape, classes=CLASSES)


def kimm_model(name: str) -> keras.Model:
    import kimm

    shape = (KIMM[name], KIMM[name], 3)
    return getattr(kimm.models, name)(weights=None, input_shape=shape, classes=CLASSES)


# keras_hub has no small members: these are its architectures with few layers.

_RESNET = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 64],
    "stackwise_num_blocks": [1, 1],
    "stackwise_num_strides": [1, 2],
    "image_shape": (64, 64, 3),
}
_VIT = {"patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "image_shape": (32, 32, 3)}
_MOBILENET = {
    "stackwise_expansion": [[16, 16], [24, 24]],
    "stackwise_num_blocks": [2, 2],
    "stackwise_num_filters": [[8, 8], [16, 16]],
    "stackwise_kernel_size": [[3, 3], [5, 5]],
    "stackwise_num_strides": [[2, 1], [2, 1]],
    "stackwise_se_ratio": [[None, None], [0.25, 0.25]],
    "stackwise_activation": [["relu", "relu"], ["hard_swish", "hard_swish"]],
    "stackwise_padding": [[1, 1], [2, 2]],
    "output_num_filters": 32,
    "last_layer_filter": 32,
    "depthwise_filters": 8,
    "depthwise_stride": 2,
    "depthwise_residual": False,
    "squeeze_and_excite": 0.5,
    "image_shape": (64, 64, 3),
}
_EFFICIENTNET = {
    "stackwise_kernel_sizes": [3, 3],
    "stackwise_num_repeats": [1, 1],
    "stackwise_input_filters": [8, 8],
    "stackwise_output_filters": [8, 16],
    "stackwise_expansion_ratios": [1, 2],
    "stackwise_squeeze_and_excite_ratios": [0.25, 0.25],
    "stackwise_strides": [1, 2],
    "stackwise_width_coefficients": [1.0, 1.0],
    "stackwise_depth_coefficients": [1.0, 1.0],
    "num_features": 32,
    "input_shape": (64, 64, 3),
}
_MOBILENET_V5 = {
    "stackwise_block_types": [["er"], ["uir", "uir"]],
    "stackwise_num_blocks": [1, 2],
    "stackwise_num_filters": [[8], [16, 16]],
    "stackwise_strides": [[2], [2, 1]],
    "stackwise_act_layers": [["relu"], ["relu", "relu"]],
    "stackwise_exp_ratios": [[2.0], [2.0, 2.0]],
    "stackwise_se_ratios": [[0.0], [0.0, 0.0]],
    "stackwise_dw_kernel_sizes": [[0], [5, 5]],
    "stackwise_dw_start_kernel_sizes": [[0], [0, 0]],
    "stackwise_dw_end_kernel_sizes": [[0], [0, 0]],
    "stackwise_exp_kernel_sizes": [[3], [0, 0]],
    "stackwise_pw_kernel_sizes": [[1], [0, 0]],
    "stackwise_num_heads": [[0], [0, 0]],
    "stackwise_key_dims": [[0], [0, 0]],
    "stackwise_value_dims": [[0], [0, 0]],
    "stackwise_kv_strides": [[0], [0, 0]],
    "stackwise_use_cpe": [[False], [False, False]],
    "use_msfa": False,
    "image_shape": (64, 64, 3),
}
_HGNET = {
    "depths": [1, 1],
    "embedding_size": 8,
    "hidden_sizes": [16, 32],
    "stem_channels": [3, 8, 8],
    "hidden_act": "relu",
    "use_learnable_affine_block": False,
    "stackwise_stage_filters": [(8, 8, 16, 1, 1, 3), (16, 8, 32, 1, 1, 3)],
    "apply_downsample": [False, True],
    "use_lightweight_conv_block": [False, False],
    "image_shape": (64, 64, 3),
}
_CSPNET = {
    "stem_filters": 8,
    "stem_kernel_size": 3,
    "stem_strides": 1,
    "stackwise_depth": [1, 1],
    "stackwise_strides": [2, 2],
    "stackwise_num_filters": [16, 32],
    "image_shape": (64, 64, 3),
}
_MIT = {
    "layerwise_depths": [1, 1],
    "num_layers": 2,
    "hidden_dims": [8, 16],
    "layerwise_num_heads": [1, 2],
    "layerwise_sr_ratios": [2, 1],
    "max_drop_path_rate": 0.1,
    "layerwise_patch_sizes": [7, 3],
    "layerwise_strides": [4, 2],
    "image_shape": (64, 64, 3),
}
_SWIN = {"image_shape": (64, 64, 3), "embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}


def hub_task(family: str, config: dict[str, Any], **options: Any) -> keras.Model:
    """The family's own ImageClassifier over a small backbone."""
    import keras_hub

    backbone = getattr(keras_hub.models, f"{family}Backbone")(**config)
    return getattr(keras_hub.models, f"{family}ImageClassifier")(backbone, num_classes=CLASSES, **options)


def hub_tokens(name: str, config: dict[str, Any], prefix: int, pooling: str = "mean") -> keras.Model:
    """A linear classifier on the tokens of an encoder that has no ImageClassifier of its own.

    `prefix`: the number of class and register tokens. `pooling`: "mean" of the patch tokens, the class
    "token", or the encoder's "own".
    """
    import keras_hub

    encoder = getattr(keras_hub.models, name)(**config)
    images = keras.Input(config["image_shape"], name="images")
    tokens = encoder(dict.fromkeys(encoder.input, images) if isinstance(encoder.input, dict) else images)
    tokens = tokens["sequence_output"] if isinstance(tokens, dict) else tokens
    pooled = {
        "mean": lambda: keras.ops.mean(tokens[:, prefix:], axis=1),
        "token": lambda: tokens[:, 0],
        "own": lambda: tokens,
    }
    return keras.Model(images, layers.Dense(CLASSES)(pooled[pooling]()))


HUB: dict[str, Callable[[], keras.Model]] = {
    "CSPNet": partial(hub_task, "CSPNet", {**_CSPNET, "block_type": "dark_block", "stage_type": "dark"}),
    "DenseNet": partial(
        hub_task, "DenseNet", {"stackwise_num_repeats": [1, 1], "growth_rate": 8, "image_shape": (64, 64, 3)}
    ),
    "EfficientNet": partial(hub_task, "EfficientNet", {**_EFFICIENTNET, "stackwise_block_types": ["v1"] * 2}),
    "EfficientNetV2": partial(
        hub_task, "EfficientNet", {**_EFFICIENTNET, "stackwise_block_types": ["fused", "unfused"]}
    ),
    "HGNetV2": partial(hub_task, "HGNetV2", _HGNET, preprocessor=None),
    "MiT": partial(hub_task, "MiT", _MIT),
    "MobileNetV3": partial(hub_task, "MobileNet", _MOBILENET),
    "MobileNetV5": partial(hub_task, "MobileNetV5", _MOBILENET_V5),
    "ResNet": partial(hub_task, "ResNet", {**_RESNET, "block_type": "basic_block"}),
    "ResNetV2": partial(
        hub_task, "ResNet", {**_RESNET, "block_type": "bottleneck_block", "use_pre_activation": True}
    ),
    "ResNet (max pooling)": partial(
        hub_task, "ResNet", {**_RESNET, "block_type": "basic_block"}, pooling="max"
    ),
    "Swin": partial(hub_task, "SwinTransformer", _SWIN),
    "VGG": partial(
        hub_task,
        "VGG",
        {"stackwise_num_repeats": [1, 1], "stackwise_num_filters": [8, 16], "image_shape": (32, 32, 3)},
        pooling_hidden_dim=16,
    ),
    "ViT (token)": partial(hub_task, "ViT", {**_VIT, "mlp_dim": 32}),
    "ViT (gap)": partial(hub_task, "ViT", {**_VIT, "mlp_dim": 32}, pooling="gap"),
    "DeiT (token)": partial(hub_task, "DeiT", {**_VIT, "intermediate_dim": 32}),
    "Xception": partial(
        hub_task,
        "Xception",
        {
            "stackwise_conv_filters": [[8, 8], [16, 16]],
            "stackwise_pooling": [True, False],
            "image_shape": (64, 64, 3),
        },
    ),
    "CLIP (mean)": partial(hub_tokens, "CLIPVisionEncoder", {**_VIT, "intermediate_dim": 32}, 1),
    "CLIP (token)": partial(hub_tokens, "CLIPVisionEncoder", {**_VIT, "intermediate_dim": 32}, 1, "token"),
    "SigLIP": partial(hub_tokens, "SigLIPVisionEncoder", {**_VIT, "intermediate_dim": 32}, 0, "own"),
    "DINOv2 (mean)": partial(
        hub_tokens,
        "DINOV2Backbone",
        {**_VIT, "intermediate_dim": 32, "position_embedding_shape": (32, 32, 3)},
        1,
    ),
    "DINOv2 (token)": partial(
        hub_tokens,
        "DINOV2Backbone",
        {**_VIT, "intermediate_dim": 32, "position_embedding_shape": (32, 32, 3)},
        1,
        "token",
    ),
    "DINOv3 (mean)": partial(hub_tokens, "DINOV3Backbone", {**_VIT, "intermediate_dim": 32}, 5),
    "DINOv3 (token)": partial(hub_tokens, "DINOV3Backbone", {**_VIT, "intermediate_dim": 32}, 5, "token"),
}

FAMILIES: dict[str, dict[str, Callable[[], keras.Model]]] = {
    "keras.applications": {name: partial(application, name) for name in APPLICATIONS},
    "keras_hub": HUB,
    "kimm": {name: partial(kimm_model, name) for name in KIMM},
}
