"""The functional model that `keras_cam.build_localizer` returns."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cam")
class LocalizerModel(keras.Model):
    """A functional `keras.Model` whose metrics get all outputs at once.

    Keras passes each output of a model to its own metrics, but localization metrics need classes, boxes and
    maps together. Metrics given to `compile` as a list are therefore updated with the whole `y_true` and the
    whole dict of outputs. A dict of metrics, one per output, works as in any other functional model.

    A loss is only needed for training. `jit_compile` is False by default, because some metrics run NumPy code
    on the host.

    Args:
        inputs: a KerasTensor, or a dict of KerasTensors.
        outputs: the dict of outputs, see `keras_cam.build_localizer`.
        name: the name of the model.

    Examples:
        >>> import numpy as np
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=3, input_shape=(64, 64, 3))
        >>> localizer = keras_cam.build_localizer(model, top_k="all")
        >>> localizer.compile(metrics=[keras_cam.metrics.ClassificationError(top_k=3)])
        >>> y_true = {"classes": np.array([[2]]), "boxes": np.array([[[0.0, 0.0, 0.5, 0.5]]])}
        >>> localizer.evaluate(np.zeros((1, 64, 64, 3)), y_true, verbose=0, return_dict=True)
        {'classification_error_top3': 0.0}
    """

    # A function: Keras would track a list and save the metrics with the model.
    _whole_metrics: Callable[[], Sequence[keras.metrics.Metric]] = staticmethod(lambda: ())
    _has_loss = False

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *,
        metrics: Any = None,
        jit_compile: bool | str = False,
        **options: Any,
    ) -> None:
        whole = tuple(metrics) if isinstance(metrics, list | tuple) else ()
        if not all(isinstance(metric, keras.metrics.Metric) for metric in whole):
            raise ValueError(
                "`metrics` of a localizer must be a list of `keras.metrics.Metric` objects, which get all "
                f"outputs, or a dict of metrics for single outputs. Received: metrics={metrics}"
            )
        self._whole_metrics = lambda: whole
        self._has_loss = loss is not None
        metrics = None if whole else metrics
        super().compile(optimizer, loss, metrics=metrics, jit_compile=jit_compile, **options)

    @property
    def map_kind(self) -> str:
        """ "exact", if `mean(map) + bias` is the logit; "gradient"; or "augmented", a mean over views."""
        return maps_layer(self).map_kind

    @property
    def map_method(self) -> str:
        """The method that makes the maps: "cam", or the name of a method of gradients."""
        return maps_layer(self).map_method

    def summary(self, *args: Any, print_fn: Callable[[str], Any] | None = None, **kwargs: Any) -> None:
        """Print Keras' summary, and how maps are made."""
        super().summary(*args, print_fn=print_fn, **kwargs)
        (print_fn or print)(f" Maps: {self.map_kind} ({self.map_method})")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        others = [metric for metric in super().metrics if self._has_loss or metric.name != "loss"]
        return [*others, *self._whole_metrics()]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if not self._has_loss and not training:
            return ops.zeros(())
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        for metric in self._whole_metrics():
            metric.update_state(y, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_compile_config(self) -> dict[str, Any]:
        config = super().get_compile_config()
        if self._whole_metrics():
            config["metrics"] = keras.saving.serialize_keras_object(list(self._whole_metrics()))
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self._has_loss:
            self.optimizer.build(self.trainable_variables)  # so that its saved state can be loaded


def maps_layer(localizer: keras.Model) -> Any:
    """The layer of a localizer that knows `map_kind` and `map_method`: its head, or `AugmentedMaps`."""
    return [layer for layer in localizer.layers if hasattr(layer, "map_kind")][-1]
