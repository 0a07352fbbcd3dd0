"""Files of weights that others published, for the networks of the package."""

import re
import warnings
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_cam.graph.keras_internals import all_layers, operation_of
from keras_cam.models.caffe_checkpoint import read_caffe_checkpoint
from keras_cam.models.caffe_layers import CAFFE_LAYERS, CAM_CHANNELS, PLACES_CLASSES
from keras_cam.models.registry import CAFFE_SUFFIXES, MODELS, PUBLISHED_SUFFIXES
from keras_cam.models.torch_checkpoint import read_torch_checkpoint

_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])(?=\.)")
_BATCH_STATISTICS = ("weight", "bias", "running_mean", "running_var")


def is_published(weights: Any) -> bool:
    """Whether this is the path of a file that `PublishedWeights` reads.

    Examples:
        >>> is_published("vgg16CAM_train_iter_90000.caffemodel"), is_published("imagenet")
        (True, False)
    """
    return isinstance(weights, str | PathLike) and str(weights).endswith(PUBLISHED_SUFFIXES)


class PublishedWeights:
    """The weights in a `.caffemodel`, or in a `.pth` or `.pth.tar` of torchvision's networks.

    Args:
        network: the network that they are for, one of `keras_cam.list_models()`.
        path: the file.

    Raises:
        ValueError: files of this kind do not fit the network, or the file is damaged.
        FileNotFoundError: there is no such file.
    """

    def __init__(self, network: str, path: str | PathLike[str]) -> None:
        self.network, self.path = network, str(path)
        takers = _takers(self.path)
        if network not in takers:
            raise ValueError(f"{self.path!r} must be for one of {takers}. Received: the network {network!r}")
        self._tensors = _read(self.path)

    @property
    def classes(self) -> int | None:
        """The number of classes; None if the file has no classifier that fits the network."""
        kernel = self._kernel("head")
        return None if kernel is None else _without_leading_ones(kernel).shape[0]

    @property
    def options(self) -> dict[str, int]:
        """The arguments of `build_model` that describe the CAM convolution in the file, if it has one."""
        kernel = self._kernel("features") if self.network in CAM_CHANNELS else None
        if kernel is None or kernel.ndim != 4 or not kernel.shape[1]:
            return {}
        groups = max(1, CAM_CHANNELS[self.network] // kernel.shape[1])
        return {"head_filters": kernel.shape[0], "head_groups": groups}

    @property
    def normalization(self) -> str:
        """What the pixels were normalized with, a key of `NORMALIZATIONS`."""
        is_places = self.path.endswith(CAFFE_SUFFIXES) and self.classes in PLACES_CLASSES
        return "places" if is_places else MODELS[self.network].normalization

    def is_complete(self) -> bool:
        """Whether a Caffe file has every layer of the network."""
        return all(self._kernel(layer) is not None for layer in CAFFE_LAYERS[self.network])

    def load(self, model: keras.Model, convolutions_only: bool = False) -> None:
        """Load the weights into a model.

        Where the file is that of an original whose classifier is not one linear layer over global average
        pooling, the convolutions are loaded, and a warning says which layers keep random weights.

        Args:
            model: what `build_model` builds for the network.
            convolutions_only: leave the layer `head` as it is, whatever the file has.

        Raises:
            ValueError: a layer is not in the file or has another shape there; the message names the layer
                and both shapes.
        """
        missing = []
        for layer in all_layers(model):
            is_kept = convolutions_only and layer.name == "head"
            if is_kept or not layer.weights or isinstance(layer, keras.Model):
                continue
            source = self._source(layer.name)
            if source is None:
                missing.append(layer.name)
            else:
                layer.set_weights(self._weights(layer, source))
        self._check_missing(missing, convolutions_only)

    def _check_missing(self, missing: Sequence[str], convolutions_only: bool) -> None:
        added = {"features", "head"} if self._is_original else set[str]()
        if set(missing) - added or (missing and missing[-1] != "head" and not convolutions_only):
            raise ValueError(
                f"The file must have all layers of {self.network}. Received: {self.path!r}, which lacks "
                f"{len(missing)} of them, such as {missing[:3]}"
            )
        if missing and not convolutions_only:
            warnings.warn(
                f"{self.path!r} holds the original network, of which the convolutions are loaded: the layers "
                f"{missing} keep random weights and have to be trained.",
                stacklevel=4,
            )

    @property
    def _is_original(self) -> bool:
        """Whether the file is that of a network which the paper gave a classifier of its own."""
        spec = MODELS[self.network]
        may_be = self.network in CAM_CHANNELS or spec.torch_classifier == ""
        return may_be and self._kernel("head") is None

    def _source(self, layer: str) -> str | None:
        """The name in the file of one of our layers, or None if it is not there."""
        if self.path.endswith(CAFFE_SUFFIXES):
            names: Sequence[str] = CAFFE_LAYERS[self.network].get(layer, ())
        else:
            names = (MODELS[self.network].torch_classifier or "",) if layer == "head" else (layer,)
        return next((name for name in names if f"{name}.weight" in self._tensors), None)

    def _kernel(self, layer: str) -> np.ndarray | None:
        source = self._source(layer)
        return None if source is None else self._tensors[f"{source}.weight"]

    def _weights(self, layer: keras.layers.Layer, source: str) -> list[np.ndarray]:
        is_normalization = isinstance(layer, keras.layers.BatchNormalization)
        kinds = _BATCH_STATISTICS if is_normalization else ("weight", "bias")[: len(layer.weights)]
        weights = []
        for kind, variable in zip(kinds, layer.weights, strict=True):
            expected = _published_shape(layer, variable)
            found = self._tensors.get(f"{source}.{kind}")
            if found is None and kind == "bias":  # Caffe leaves it out where `bias_term` is false
                found = np.zeros(expected, "float32")
            found = None if found is None else _without_leading_ones(found, len(expected))
            if found is None or found.shape != expected:
                raise ValueError(
                    f"The {kind} of the layer {source!r} must have the shape {expected}, for the layer "
                    f"{layer.name!r} of {self.network}. Received: {None if found is None else found.shape} "
                    f"in {self.path!r}"
                )
            weights.append(_in_our_order(layer, found))
        return weights


def find_network(path: str | PathLike[str]) -> tuple[str, int]:
    """Tell from what is in a published file which network it is.

    A Caffe file tells by the names of its layers, a file of torchvision by the number of its parameters.

    Args:
        path: the file.

    Returns:
        The name, one of `keras_cam.list_models()`, and the number of classes.

    Raises:
        ValueError: the file is damaged, or it holds no classifier that the package builds.
    """
    found = _find_caffe(str(path)) if str(path).endswith(CAFFE_SUFFIXES) else _find_torch(str(path))
    if found is None:
        raise ValueError(
            f"The file must be a whole classifier out of {_takers(str(path))}. Received: {str(path)!r}"
        )
    return found


def _find_caffe(path: str) -> tuple[str, int] | None:
    candidates = [PublishedWeights(network, path) for network in CAFFE_LAYERS]
    complete = [candidate for candidate in candidates if candidate.is_complete()]
    if not complete:
        return None
    # VGG19 has all layers of VGG16, too.
    best = max(complete, key=lambda candidate: len(CAFFE_LAYERS[candidate.network]))
    return best.network, best.classes or 0


def _find_torch(path: str) -> tuple[str, int] | None:
    tensors = _read(path)
    counted = [
        tensor.size
        for name, tensor in tensors.items()
        if not name.startswith("aux") and not name.endswith("num_batches_tracked")
    ]
    for network, spec in MODELS.items():
        kernel = tensors.get(f"{spec.torch_classifier}.weight")
        if kernel is not None and kernel.ndim == 2:
            classes, channels = kernel.shape
            if sum(counted) - (channels + 1) * (classes - 1000) == spec.parameters:
                return network, classes
    return None


def _takers(path: str) -> list[str]:
    """The networks that files of a kind are for."""
    if path.endswith(CAFFE_SUFFIXES):
        return list(CAFFE_LAYERS)
    return [name for name, spec in MODELS.items() if spec.torch_classifier is not None]


def _read(path: str) -> Mapping[str, np.ndarray]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"`weights` must be a file. Received: weights={path!r}")
    if path.endswith(CAFFE_SUFFIXES):
        return read_caffe_checkpoint(path)
    # DenseNet's files were saved before torchvision renamed the parts of a layer.
    tensors = read_torch_checkpoint(path)
    return {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in tensors.items()}


def _published_shape(layer: keras.layers.Layer, variable: Any) -> tuple[int, ...]:
    """The shape of one of our weights in Caffe and torch: (outputs, inputs, height, width)."""
    shape = tuple(variable.shape)
    if len(shape) < 4:
        return shape[::-1]
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return tuple(shape[axis] for axis in ((2, 3, 0, 1) if is_depthwise else (3, 2, 0, 1)))


def _in_our_order(layer: keras.layers.Layer, tensor: np.ndarray) -> np.ndarray:
    if tensor.ndim == 4:
        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        return tensor.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
    before = operation_of(layer.input)
    if tensor.ndim == 2 and isinstance(before, keras.layers.Flatten):
        # They flatten (channels, height, width), we (height, width, channels).
        height, width, channels = before.input.shape[1:]
        tensor = tensor.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(tensor.shape)
    return tensor.T


def _without_leading_ones(tensor: np.ndarray, ndim: int = 1) -> np.ndarray:
    """Old Caffe files have four dimensions for everything: (1, 1, 1, n) and (1, 1, outputs, inputs)."""
    while tensor.ndim > ndim and tensor.shape[0] == 1:
        tensor = tensor[0]
    return tensor
