"""Find the mid-level features of a backbone."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import keras

from keras_cam.graph.cursor import sources_of
from keras_cam.graph.flat_call import flat_call_of, flat_calls
from keras_cam.graph.keras_internals import operation_of
from keras_cam.graph.linearity import dependents
from keras_cam.graph.places import Places, places_of

# These layers enlarge their input; others with `strides` reduce it.
_ENLARGING = (keras.layers.Conv2DTranspose, keras.layers.UpSampling2D)
_LEARNED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)

# The largest stride of mid-level features: coarser features encode classes rather than appearance.
_COARSEST = 16

# Of a transformer, the sum this far through: at block 9 of 12, tokens tell parts of objects apart best.
_THROUGH_TRANSFORMER = 0.75


@dataclass(frozen=True)
class Tap:
    """A tensor inside a backbone.

    Attributes:
        tensor: KerasTensor with positions: (B, h, w, C), (B, C, h, w), or tokens (B, prefix + h * w, C).
        places: which of its axes are positions.
        stride: image pixels per position in the network as it was trained.
        pooling: how many times finer the tensor is because strides were removed, see
            `keras_cam.graph.dilation`.
        is_bottleneck: whether every path from the image to the features passes through this tensor.
    """

    tensor: Any
    places: Places
    stride: int
    pooling: int
    is_bottleneck: bool

    @property
    def name(self) -> str:
        """The name of the layer or operation that computes the tensor."""
        return operation_of(self.tensor).name

    @property
    def features(self) -> Any:
        """The tensor as (B, h, w, C)."""
        is_laid_out = not (self.places.tokens or self.places.channels_first)
        return self.tensor if is_laid_out else self.places.laid_out(self.tensor)


class NoTapsError(ValueError):
    """A network has no mid-level features."""


def find_taps(backbone: keras.Model, names: Sequence[str] | None = None) -> list[Tap]:
    """Find the mid-level features whose affinity refines maps, finest first.

    Candidates are bottlenecks: tensors on every path from the images to the features. The two largest strides
    up to 16 are used, in most networks 8 and 16, with one tensor each: in a residual network, the last sum
    among those with the fewest channels, where the first stage of that stride ends; in other networks, the
    last tensor; in a transformer, the sum after three quarters of the blocks of that stride, whatever the
    stride of its tokens. The final features are excluded, because they encode classes rather than objects. In
    a network whose branches do not merge into one tensor (NASNet), the candidates are all sums and
    concatenations.

    Args:
        backbone: a functional model without nested models, from images, its first input, to features; see
            `flat_graph`.
        names: the names of the layers to use instead, finest first.

    Returns:
        At least one tap.

    Raises:
        NoTapsError: a `ValueError`; the backbone has no such tensor.
        ValueError: a name in `names` is not a layer between the first convolution and the features.

    Reference:
        Amir et al., Deep ViT Features as Dense Visual Descriptors, 2021, for transformers.

    Examples:
        >>> backbone = keras.applications.MobileNetV2((64, 64, 3), include_top=False, weights=None)
        >>> [(tap.name, tap.stride, tap.tensor.shape[-1]) for tap in find_taps(backbone)]
        [('block_5_add', 8, 32), ('block_9_add', 16, 64)]
    """
    taps = [tap for tap in _all_taps(backbone) if tap.tensor is not backbone.outputs[0]]
    if names is not None:
        return _named(taps, names)
    fine = [tap for tap in taps if tap.stride <= _COARSEST]
    taps = fine or [tap for tap in taps if tap.places.tokens]
    bottlenecks = [tap for tap in taps if tap.is_bottleneck]
    merged = [tap for tap in taps if len(sources_of(tap.tensor)) > 1]
    # In networks like NASNet only the stem is a bottleneck.
    candidates = max(bottlenecks, merged, key=lambda some: max((tap.stride for tap in some), default=0))
    strides = sorted({tap.stride for tap in candidates})[-2:]
    if strides:
        return [_block_output([tap for tap in candidates if tap.stride == stride]) for stride in strides]
    raise NoTapsError(
        'refine="affinity" needs mid-level features: at least one layer between the first convolution and '
        "the features with a stride up to 16, or layer names in `taps`. "
        f"Received: a backbone with the layers {[layer.name for layer in backbone.layers]}"
    )


def find_bottleneck(backbone: keras.Model) -> Tap | None:
    """The last bottleneck with half the stride of the features, if there is one."""
    *taps, features = _all_taps(backbone)
    halves = [tap for tap in taps if tap.is_bottleneck and 2 * tap.stride == features.stride]
    return halves[-1] if halves and features.pooling == 1 else None


def halving_phase(tail: keras.Model) -> int:
    """The position, 0 or 1, of each pair on which the windows of a stage of stride 2 are centred.

    Args:
        tail: the stage, a functional model without nested models. An unknown input size is assumed even.
    """
    for call in flat_calls(tail):
        operation = call.operation
        window = getattr(operation, "kernel_size", getattr(operation, "pool_size", (1, 1)))[0]
        if _step(operation) == 2 and window > 1:
            source = call.inputs[0]
            size = source.shape[1] or 0
            maker = flat_call_of(source).operation
            if operation.padding == "same":
                before = max(window - 2 + size % 2, 0) // 2
            elif isinstance(maker, keras.layers.ZeroPadding2D):
                before = maker.padding[0][0]
            else:
                before = 0
            return ((window - 1) // 2 - before) % 2
    return 0


def _all_taps(backbone: keras.Model) -> Iterator[Tap]:
    """All tensors with positions at or after a convolution, in the order of the graph."""
    images = backbone.inputs[0]
    dependent = dependents(backbone, [images])
    # For each tensor: its stride, the dilation that replaces removed strides, whether a convolution precedes.
    state = {id(tensor): (1.0, 1, False) for tensor in backbone.inputs}
    calls = flat_calls(backbone)
    uses = Counter(id(tensor) for call in calls for tensor in call.inputs)
    uses[id(backbone.outputs[0])] += 1
    pending = {id(images)}
    for call in calls:
        operation = call.operation
        sources = [state[id(tensor)] for tensor in call.inputs]
        stride = max((source[0] for source in sources), default=1.0) * _step(operation)
        dilation = max([_dilation(operation), *(source[1] for source in sources)])
        learned = isinstance(operation, _LEARNED) or any(source[2] for source in sources)
        for tensor in call.inputs:
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                pending.discard(id(tensor))
        for tensor in call.outputs:
            state[id(tensor)] = (stride, dilation, learned)
            if id(tensor) not in dependent:
                continue
            if uses[id(tensor)]:
                pending.add(id(tensor))
            places = places_of(tensor, images) if len(images.shape) == 4 else None
            if places is None or isinstance(operation, keras.layers.ZeroPadding2D):
                continue
            is_bottleneck = pending == {id(tensor)}
            if places.tokens:
                width = images.shape[2]
                tokens_stride = round(width / places.grid[1]) if width else int(stride)
                yield Tap(tensor, places, tokens_stride, 1, is_bottleneck)
            elif learned and stride >= 1:
                yield Tap(tensor, places, int(stride) * dilation, dilation, is_bottleneck)


def _step(operation: Any) -> float:
    """The factor by which an operation reduces the size of its input."""
    if isinstance(operation, keras.layers.UpSampling2D):
        return 1 / operation.size[0]
    strides = getattr(operation, "strides", 1)
    step = strides[0] if isinstance(strides, tuple | list) else strides
    return 1 / step if isinstance(operation, _ENLARGING) else step


def _dilation(operation: Any) -> int:
    rate = getattr(operation, "dilation_rate", 1)
    return rate[0] if isinstance(rate, tuple | list) else rate


def _block_output(taps: Sequence[Tap]) -> Tap:
    """The tensor of one stride where a block ends, see `find_taps`."""
    taps = [tap for tap in taps if tap.places.tokens] or taps
    sums = [tap for tap in taps if type(flat_call_of(tap.tensor).operation).__name__ == "Add"]
    if taps[0].places.tokens:
        candidates = sums or taps
        return candidates[ceil(_THROUGH_TRANSFORMER * len(candidates)) - 1]
    narrowest = min((tap.tensor.shape[-1] for tap in sums), default=0)
    return [tap for tap in sums or taps if not sums or tap.tensor.shape[-1] == narrowest][-1]


def _named(taps: Sequence[Tap], names: Sequence[str]) -> list[Tap]:
    by_name = {tap.name: tap for tap in taps}
    if not names or isinstance(names, str) or not by_name.keys() >= set(names):
        raise ValueError(
            f"`taps` must name layers between the first convolution and the features: {list(by_name)}. "
            f"Received: taps={names!r}"
        )
    return [by_name[name] for name in names]
