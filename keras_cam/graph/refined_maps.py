"""The graph of refined maps: from images and classes to maps in [0, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_cam.graph import names
from keras_cam.graph.flat_graph import flat_graph
from keras_cam.graph.foreground import foreground_of
from keras_cam.graph.head import Head, one_or_all
from keras_cam.graph.taps import NoTapsError, find_bottleneck, find_taps, halving_phase
from keras_cam.layers import (
    AffinityRefinement,
    AlignedFeatures,
    ForegroundMaps,
    HalfSteps,
    InterleavedMaps,
    SecondLookMaps,
    SecondLookWindows,
    UnitRange,
    WindowCrops,
)
from keras_cam.recipes import Recipe


@dataclass(frozen=True)
class View:
    """The outputs of the backbone for one view of the images: original, mirrored, or crops of them.

    Attributes:
        inputs: the inputs of the backbone, the images first.
        features: the input of the classifier: KerasTensor (B, h, w, C), or a list.
        taps: mid-level features, all on the grid of the refined maps.
        half_steps: the features at the positions in between (3 * B, h, w, C), and the tensor that was shifted
            to get them; None if maps keep their resolution.
    """

    inputs: list[Any]
    features: Any
    taps: list[Any]
    half_steps: tuple[Any, Any] | None


class RefinedMaps:
    """Builds the refined maps of a localizer.

    Args:
        head: the parts of the classifier.
        taps: names of the layers with mid-level features; None selects them, see `find_taps`.
        recipe: how maps are refined. The resolution is doubled only if the backbone has a suitable tensor.
        positive_weights: whether maps use only the positive weights of the classifier.
        foreground: a model that separates foreground from background, see `build_localizer`.
    """

    def __init__(
        self,
        head: Head,
        taps: Sequence[str] | None,
        recipe: Recipe,
        positive_weights: bool,
        foreground: keras.Model | None = None,
    ) -> None:
        if head.features[0] is head.inputs[0]:
            raise NoTapsError(
                'refine="affinity" needs layers before the pooling. Received: a model without any'
            )
        graph = flat_graph(keras.Model(head.inputs, head.features, name=names.BACKBONE))
        found = find_taps(graph, taps)
        tensors = [tap.features for tap in found]
        bottleneck = find_bottleneck(graph) if recipe.dense and len(graph.outputs) == 1 else None
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
        self._unit_range = UnitRange(name=names.LOCALIZATION_MAPS)
        self._foreground_maps = ForegroundMaps(name="foreground_maps")
        self._classifier, self._positive_weights = head.layer, positive_weights
        self.recipe, self._foreground = recipe, foreground

    def view(self, inputs: list[Any]) -> View:
        """Run the backbone."""
        # `training=False`: layers that augment images must not do so when the localizer is called.
        outputs = self._backbone(one_or_all(inputs), training=False)
        taps, features = self._aligned(outputs[: self._taps]), outputs[self._taps :]
        if self._rest is None:
            return View(inputs, one_or_all(features), taps, None)
        [last] = features
        between = self._rest(self._half_steps(last), training=False)
        return View(inputs, self._rest(last, training=False), taps, (between, last))

    def features(self, inputs: list[Any]) -> Any:
        """The features of a view, see `View`."""
        return self.view(inputs).features

    def all_parts(self, view: View, chosen: Any, looks: int) -> list[Any]:
        """The refined maps; if the recipe looks again, those of `of_both_looks`."""
        return self.of_both_looks(view, chosen, looks) if self.recipe.looks_again else [self(view, chosen)]

    def __call__(self, view: View, chosen: Any) -> Any:
        """The refined maps (B, K, h, w) of selected classes (B, K), in [0, 1]."""
        views = [self._spread(view, chosen)]
        if self.recipe.mirrored:
            views.append(self._mirrored(view.inputs, chosen))
        maps = self._unit_range(views)
        if self._foreground is None:
            return maps
        return self._foreground_maps([maps, foreground_of(self._foreground, view.taps)])

    def of_both_looks(self, view: View, chosen: Any, looks: int) -> list[Any]:
        """The maps of both looks, see `SecondLookMaps`; the first `looks` classes get a second look."""
        looks = min(looks, chosen.shape[1] or looks)
        first = self(view, chosen)
        windows = SecondLookWindows(looks, name="windows")(first)
        images, *others = view.inputs
        crops = WindowCrops(name=names.CROPS)(images, windows)
        repeated = [ops.repeat(x, looks, axis=0) for x in others]
        second = self(self.view([crops, *repeated]), ops.reshape(chosen[:, :looks], (-1, 1)))
        return SecondLookMaps(name="both_looks")(first, windows, second)

    def _spread(self, view: View, chosen: Any) -> Any:
        maps = self._seeds(view.features, chosen)
        if view.half_steps is not None:
            between, moved = view.half_steps
            maps = self._interleaved(maps, self._seeds(between, ops.tile(chosen, (3, 1))), moved)
        return self._refinement(maps, view.taps)

    def _seeds(self, features: Any, chosen: Any) -> Any:
        return self._classifier(features, chosen, positive_weights=self._positive_weights)

    def _mirrored(self, inputs: list[Any], chosen: Any) -> Any:
        """The refined maps of the mirrored images, mirrored back."""
        images, *others = inputs
        return ops.flip(self._spread(self.view([ops.flip(images, axis=2), *others]), chosen), axis=3)
