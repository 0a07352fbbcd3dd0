"""The state that all stages of a run share.

TensorFlow itself is used here for `tf.distribute`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_cam.check_finite import check_finite
from keras_cam.inference.keras import KerasLocalizer
from keras_cam.training.checkpoints import Checkpoint
from keras_cam.training.config import Stage, TrainingConfig
from keras_cam.training.dataset import TrainingImages
from keras_cam.training.optimizer import averaged_weights
from keras_cam.training.run_folder import RunFolder
from keras_cam.training.validation import Validator


@dataclass
class Progress:
    """How much of a run is done.

    Attributes:
        stage: the index of the stage.
        step: the number of steps of the stage that are done.
        seconds: the duration of the run, without work that was lost by an interruption.
        epoch_seconds: the time spent on training steps in the current epoch.
        history: the figures of each epoch.
        best: the best value of the figure that `TrainingConfig.select` names, and the number of its epoch.
    """

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: tuple[float, int] | None = None


@dataclass
class Session:
    """A run in progress.

    Attributes:
        config: the configuration.
        strategy: the distribution strategy.
        images: the training images.
        folder: the folder of the run.
        model: the model that is trained, on the devices of the strategy.
        published: a copy of it outside of the strategy, which is validated, drawn and saved.
        localizer: the copy as a localizer; None if it has no class activation maps.
        validator: validates the copy; None without validation images.
        progress: how much is done.
        report: called with each line about the progress.
    """

    config: TrainingConfig
    strategy: tf.distribute.Strategy
    images: TrainingImages
    folder: RunFolder
    model: keras.Model
    published: keras.Model
    localizer: KerasLocalizer | None
    validator: Validator | None
    progress: Progress
    report: Callable[[str], None]

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self.config.stages[self.progress.stage]

    @property
    def steps_before(self) -> int:
        """The number of steps of all earlier stages."""
        epochs = sum(stage.epochs for stage in self.config.stages[: self.progress.stage])
        return epochs * self.images.order.steps_per_epoch

    def save(self, network: keras.Model | None = None) -> None:
        """Write a checkpoint.

        Args:
            network: the compiled model of the current stage; None between two stages.

        Raises:
            NotFiniteError: a weight is NaN or infinite.
            OSError: it cannot be written; the last good one is kept.
        """
        variables = _variables(self.model, network)
        arrays = read_variables(variables, self.strategy)
        check_finite({variables[key].path: values for key, values in arrays.items()}, "weights")
        if not self.folder.writes:
            return
        step = self.steps_before + self.progress.step
        self.folder.checkpoints.save(step, vars(self.progress), arrays)

    def restore_model(self, checkpoint: Checkpoint) -> None:
        """Restore weights and seeds from a checkpoint."""
        self._assign(checkpoint, _variables(self.model, None))
        self.publish()

    def restore_network(self, checkpoint: Checkpoint, network: keras.Model) -> None:
        """Restore the state of optimizer and metrics too, within a stage."""
        self._assign(checkpoint, _variables(self.model, network))

    def _assign(self, checkpoint: Checkpoint, variables: Mapping[str, Any]) -> None:
        check_arrays(checkpoint, variables)
        with self.strategy.scope():
            for key, variable in variables.items():
                variable.assign(checkpoint.arrays[key])

    def publish(self, network: keras.Model | None = None) -> None:
        """Copy the weights of the trained model, or their moving averages, to the published model."""
        averages = {} if network is None else averaged_weights(network.optimizer)
        sources = {
            str(place): averages.get(id(weight), weight) for place, weight in enumerate(self.model.weights)
        }
        values = read_variables(sources, self.strategy)
        self.published.set_weights(list(values.values()))

    def adopt(self) -> None:
        """Copy the weights of the published model to the trained one."""
        with self.strategy.scope():
            self.model.set_weights(self.published.get_weights())


def read_variables(variables: Mapping[str, Any], strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """The values of variables. Every worker has to call this, for some values are means over all workers."""
    with strategy.scope():
        return {key: tf.convert_to_tensor(variable.value).numpy() for key, variable in variables.items()}


def check_arrays(checkpoint: Checkpoint, variables: Mapping[str, Any]) -> None:
    """Check that a checkpoint belongs to the model.

    Raises:
        ValueError: its arrays do not have the names and shapes of the model's variables.
    """
    groups = {key.partition("/")[0] for key in variables}
    found = {
        key: tuple(array.shape) for key, array in checkpoint.arrays.items() if key.partition("/")[0] in groups
    }
    wanted = {key: tuple(variable.shape) for key, variable in variables.items()}
    if found != wanted:
        key = next(key for key in {**wanted, **found} if found.get(key) != wanted.get(key))
        raise ValueError(
            f"{checkpoint.path} must hold the {len(wanted)} variables of this model and its optimizer. "
            f"Received: {len(found)}, with {key} of shape {found.get(key)} instead of {wanted.get(key)}"
        )


def _variables(model: keras.Model, network: keras.Model | None) -> dict[str, Any]:
    """Weights and seeds, and within a stage the variables of its optimizer and metrics."""
    groups = {"model": model.variables}
    if network is not None:
        groups |= {"optimizer": network.optimizer.variables, "metrics": network.metrics_variables}
    return {f"{name}/{place:05d}": one for name, group in groups.items() for place, one in enumerate(group)}
