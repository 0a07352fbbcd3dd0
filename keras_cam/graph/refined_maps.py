"""The graph of refined maps: from images and classes to maps in [0, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_cam.graph import names
from keras_cam.graph.flat_graph import flat_graph
from keras_cam.graph.head import Head, one_or_all
from keras_cam.graph.taps import NoTapsError, find_bottleneck, find_taps, halving_phase
from keras_cam.layers import (
    AffinityRefinement,
    AlignedFeatures,
    HalfSteps,
    InterleavedMaps,
)


@dataclass(frozen=True)
class View:
    """The outputs of the backbone for one view of the images, original or mirrored.

    Attributes:
        features: the input of the classifier: KerasTensor (B, h, w, C), or a list.
        taps: mid-level features, all on the grid of the refined maps.
        half_steps: the features at the positions in between (3 * B, h, w, C), and the tensor that was shifted
            to get them; None if maps keep their resolution.
    """

    features: Any
    taps: list[Any]
    half_steps: tuple[Any, Any] | None


class RefinedMaps:
    """Builds the refined maps of a localizer.

    Args:
        head: the parts of the classifier.
        taps: names of the layers with mid-level features; None selects them, see `find_taps`.
        dense: whether to double the resolution of the maps, if the backbone has a suitable tensor.
        positive_weights: whether maps use only the positive weights of the classifier.
    """

    def __init__(self, head: Head, taps: Sequence[str] | None, dense: bool, positive_weights: bool) -> None:
        if head.features[0] is head.inputs[0]:
            raise NoTapsError(
                'refine="affinity" needs layers before the pooling. Received: a model without any'
            )
        graph = flat_graph(keras.Model(head.inputs, head.features, name=names.BACKBONE))
        found = find_taps(graph, taps)
        tensors = [tap.tensor for tap in found]
        bottleneck = find_bottleneck(graph) if dense and len(graph.outputs) == 1 else None
        inputs = one_or_all(graph.inputs)
        self._taps = len(tensors)
        if bottleneck is None:
            self._backbone = keras.Model(inputs, [*tensors, *graph.outputs], name=names.BACKBONE)
            self._rest = None
        else:
            self._backbone = keras.Model(inputs, [*tensors, bottleneck.tensor], name=names.BACKBONE)
            self._rest = keras.Model(bottleneck.tensor, graph.outputs[0], name="rest")
            phase = halving_phase(self._rest)
            self._half_steps = HalfSteps(phase, name="half_steps")
            self._interleaved = InterleavedMaps(phase, name="interleaved_maps")
        self._aligned = AlignedFeatures(found[-1].pooling, name=names.ALIGNED_FEATURES)
        self._refinement = AffinityRefinement(name="affinity_refinement")
        self._classifier, self._positive_weights = head.layer, positive_weights

    def view(self, inputs: list[Any]) -> View:
        """Run the backbone."""
        # `training=False`: layers that augment images must not do so when the localizer is called.
        outputs = self._backbone(one_or_all(inputs), training=False)
        taps, features = self._aligned(outputs[: self._taps]), outputs[self._taps :]
        if self._rest is None:
            return View(one_or_all(features), taps, None)
        [last] = features
        between = self._rest(self._half_steps(last), training=False)
        return View(self._rest(last, training=False), taps, (between, last))

    def __call__(self, view: View, chosen: Any) -> Any:
        """The refined maps (B, K, h, w) of selected classes (B, K), in [0, 1]."""
        maps = self._seeds(view.features, chosen)
        if view.half_steps is not None:
            between, moved = view.half_steps
            maps = self._interleaved(maps, self._seeds(between, ops.tile(chosen, (3, 1))), moved)
        return self._refinement(maps, view.taps)

    def _seeds(self, features: Any, chosen: Any) -> Any:
        return self._classifier(features, chosen, positive_weights=self._positive_weights)

    def mirrored(self, inputs: list[Any], chosen: Any) -> Any:
        """The refined maps of the mirrored images, mirrored back."""
        images, *others = inputs
        return ops.flip(self(self.view([ops.flip(images, axis=2), *others]), chosen), axis=3)
