"""Any head of a classifier, for logits and for maps made from their gradients."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import keras
from keras import ops

from keras_cam.graph.places import Places
from keras_cam.graph.reverse_mode import ReverseMode, has_batch
from keras_cam.map_methods import Evidence, map_method
from keras_cam.ops.area_resize import area_resize

CAM = "cam"
"""The method of exact maps: gradient times activation, with the statistics of each image held fixed."""


@keras.saving.register_keras_serializable("keras_cam")
class DifferentiableHead(keras.layers.Layer):
    """Any head of a classifier, which also returns the map of any class.

    It is called as `ClassActivationHead` is: `head(features)` returns logits, `head(features, class_ids)` the
    maps of these classes. Maps are made from the derivatives of the logits with respect to the features, by
    reverse mode through the head, in the graph.

    With the method "cam", maps are exact: `mean(map) + bias == logit`. `bias` is the logit for features that
    are zero. A head with a normalization has one bias per image, for the statistics of that image. Several
    features have one map, the sum of their maps on the finest grid.

    Args:
        head: a flat functional model from features and context to logits. An activation of its last layer
            that turns logits into scores is ignored.
        places: the layout of each of the features, which are the head's first inputs. Its other inputs count
            as constants.
        method: "cam"; a name that `keras_cam.map_methods.map_method` takes; or a function from an `Evidence`
            to maps (B, K, h, w), registered with Keras if the model is to be saved.

    Input shape:
        features: the inputs of `head`, a tensor or a list. class_ids (optional): integers (B, K).
        positive_weights=True sets negative derivatives to 0.

    Output shape:
        Logits float32 (B, N), or maps float32 (B, K, h, w).
    """

    def __init__(
        self,
        head: keras.Model,
        places: Sequence[Places | dict[str, Any]],
        method: str | Callable[[Evidence], Any] = CAM,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.head = head
        self.places = tuple(one if isinstance(one, Places) else Places(**one) for one in places)
        self.method = method
        self.taped: set[str] = set()

    @property
    def map_kind(self) -> str:
        """ "exact" or "gradient"."""
        return "exact" if self.method == CAM else "gradient"

    @property
    def map_method(self) -> str:
        """The name of the method."""
        return self.method if isinstance(self.method, str) else self.method.__name__

    @property
    def weighted_classes(self) -> int:
        """The number of classes, if their maps are weighted sums of channels; else 0."""
        return self.head.output_shape[-1] if self.method == CAM else 0

    def call(self, features: Any, class_ids: Any = None, positive_weights: bool = False) -> Any:
        values = list(features) if isinstance(features, list | tuple) else [features]
        run = ReverseMode(self.head, values, len(self.places), held=self.method == CAM)
        if class_ids is None:
            return run.output
        maps = [self._maps(run, index, class_ids, positive_weights) for index in range(len(self.places))]
        self.taped |= set(run.taped)
        finest = self.places[self._finest()]
        return finest.maps(self._on_one_grid(maps), run.inputs[self._finest()])

    def _maps(self, run: ReverseMode, index: int, class_ids: Any, positive_weights: bool) -> Any:
        """The maps (B, K, h, w) of one of the features."""
        places = self.places[index]

        def gradients(weights: Any = None) -> Any:
            if weights is None:
                weights = ops.one_hot(class_ids, self.head.output_shape[-1], dtype="float32")
            found = places.laid_out(run.gradients(weights)[index], ops.shape(class_ids)[1])
            return ops.relu(found) if positive_weights else found

        def logits_of(features: Any) -> Any:
            copies = ops.shape(features)[0] // ops.shape(run.inputs[0])[0]
            others = [
                ops.tile(x, (copies, *[1] * (len(x.shape) - 1))) if batched else x
                for x, batched in zip(run.inputs, has_batch(self.head), strict=True)
            ]
            others[index] = places.as_given(features, run.inputs[index])
            return ReverseMode(self.head, others, 0).output

        laid_out = places.laid_out(run.inputs[index])
        evidence = Evidence(laid_out, class_ids, run.output, gradients, logits_of)
        method = "hirescam" if self.method == CAM else self.method
        return (map_method(method) if isinstance(method, str) else method)(evidence)

    def _on_one_grid(self, maps: list[Any]) -> Any:
        finest = maps[self._finest()]
        size = ops.shape(finest)[2:]
        return sum((one if one is finest else _resized(one, size) for one in maps), start=0.0)

    def _finest(self) -> int:
        """The index of the features with the most positions."""
        sizes = [prod(n or 10**6 for n in one.grid) for one in self.places]
        return sizes.index(max(sizes))

    def compute_output_spec(
        self, features: Any, class_ids: Any = None, positive_weights: bool = False
    ) -> Any:
        first = features[0] if isinstance(features, list | tuple) else features
        if class_ids is None:
            return keras.KerasTensor((first.shape[0], self.head.output_shape[-1]))
        grid = self.places[self._finest()].grid
        return keras.KerasTensor((first.shape[0], class_ids.shape[1], *grid))

    def get_config(self) -> dict[str, Any]:
        method = keras.saving.serialize_keras_object(self.method)  # a name stays a name
        config = {
            "head": keras.saving.serialize_keras_object(self.head),
            "places": [vars(one) for one in self.places],
            "method": method,
        }
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DifferentiableHead":
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("head", "method")}
        return cls(**{**config, **parts})


def _resized(maps: Any, size_hw: Any) -> Any:
    """Maps on a finer grid, with the same mean."""
    batch, classes, *own_hw = ops.shape(maps)
    images = ops.reshape(maps, (batch * classes, *own_hw, 1))
    return ops.reshape(area_resize(images, size_hw), (batch, classes, *size_hw))
