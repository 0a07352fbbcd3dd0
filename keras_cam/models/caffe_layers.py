"""Which layer of a published Caffe network is which layer of ours.

The names are those of the deploy files: github.com/zhoubolei/CAM for the networks of the paper, the model
zoo of BVLC, the VGG group, Lin et al. and github.com/CSAILVision/places365 for their originals.
"""

from collections.abc import Mapping

from keras_cam.models.googlenet import INCEPTION_FILTERS

_INCEPTION_LAYERS = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
_CAM = {"features": ("CAM_conv",), "head": ("CAM_fc",)}


def _same(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


def _googlenet(last_block: str) -> dict[str, tuple[str, ...]]:
    layers: dict[str, tuple[str, ...]] = {
        "conv1": ("conv1/7x7_s2",),
        "conv2_reduce": ("conv2/3x3_reduce",),
        "conv2": ("conv2/3x3",),
    }
    for block in INCEPTION_FILTERS:
        layers |= {f"{block}_{layer}": (f"{block}/{layer}",) for layer in _INCEPTION_LAYERS}
        if block == last_block:
            break
    return layers


def _vgg(convolutions: tuple[int, ...]) -> dict[str, tuple[str, ...]]:
    return {
        f"block{block}_conv{index}": (f"conv{block}_{index}",)
        for block, count in enumerate(convolutions, start=1)
        for index in range(1, count + 1)
    }


_ALEXNET = _same("conv1", "conv2", "conv3", "conv4", "conv5")
_VGG16, _VGG19 = _vgg((2, 2, 3, 3, 3)), _vgg((2, 2, 4, 4, 4))

CAFFE_LAYERS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "alexnet_gap": {**_ALEXNET, **_CAM},
    "alexnet_star_gap": {**_ALEXNET, **_same("conv6"), "features": ("conv7",), "head": ("fc9",)},
    "vgg16_gap": {**_VGG16, **_CAM},
    "vgg19_gap": {**_VGG19, **_CAM},
    "googlenet_gap": {**_googlenet("inception_4e"), **_CAM},
    "nin_gap": {
        **_same("conv1", "cccp1", "cccp2", "conv2", "cccp3", "cccp4", "conv3", "cccp5", "cccp6"),
        "conv4": ("conv4-1024",),
        "features": ("cccp7-1024",),
        "head": ("cccp8-1024",),
    },
    "alexnet": {**_ALEXNET, **_same("fc6", "fc7"), "head": ("fc8",)},
    "vgg16": {**_VGG16, "fc1": ("fc6",), "fc2": ("fc7",), "head": ("fc8", "fc8a")},
    "googlenet": {**_googlenet("inception_5b"), "head": ("loss3/classifier",)},
}
"""For each network, our layers and the names that they have in published files."""

CAM_CHANNELS = {"alexnet_gap": 256, "vgg16_gap": 512, "vgg19_gap": 512, "googlenet_gap": 832}
"""The channels that the CAM convolution of a network takes; the file tells how many of them a group has."""

PLACES_CLASSES = (205, 365)
"""The numbers of classes of Places205 and Places365, whose networks were trained with the mean of scenes."""
