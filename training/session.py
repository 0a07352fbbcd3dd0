"""What all stages of a run share.

TensorFlow itself is used here for `tf.distribute`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_cam.training.checkpoints import Checkpoint
from keras_cam.training.config import Stage, TrainingConfig
from keras_cam.training.dataset import TrainingImages
from keras_cam.training.optimizer import averaged_weights
from keras_cam.training.run_folder import RunFolder
from keras_cam.training.validation import Validator


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        stage: the number of the stage.
        step: the steps that are done of it.
        seconds: how long the run has taken, without what was lost.
        history: a row for each epoch.
        best: the best value of what `TrainingConfig.select` names, and the number of its epoch.
    """

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: tuple[float, int] | None = None


@dataclass
class Session:
    """A run while it runs.

    Attributes:
        config: what it was told.
        strategy: where it computes.
        images: what it learns from.
        folder: what it writes to.
        model: what is trained, on the strategy's devices.
        published: its copy outside of the strategy, which is judged, drawn and saved.
        validator: judges the copy; None without validation images.
        progress: how far it is.
        report: called with each line that people should read.
    """

    config: TrainingConfig
    strategy: tf.distribute.Strategy
    images: TrainingImages
    folder: RunFolder
    model: keras.Model
    published: keras.Model
    validator: Validator | None
    progress: Progress
    report: Callable[[str], None]

    @property
    def stage(self) -> Stage:
        """The stage that is on."""
        return self.config.stages[self.progress.stage]

    @property
    def steps_before(self) -> int:
        """The steps of all earlier stages."""
        epochs = sum(stage.epochs for stage in self.config.stages[: self.progress.stage])
        return epochs * self.images.order.steps_per_epoch

    def save(self, network: keras.Model | None = None) -> None:
        """Writes a checkpoint, or says why it could not.

        Args:
            network: the model in training, with its optimizer and metrics; None between two stages.
        """
        arrays = read_variables(_variables(self.model, network), self.strategy)
        if not self.folder.writes:
            return
        step = self.steps_before + self.progress.step
        try:
            self.folder.checkpoints.save(step, vars(self.progress), arrays)
        except OSError as error:
            self.report(
                f"No checkpoint at step {step}: {error}. The last good one stays, and training goes on."
            )

    def restore_model(self, checkpoint: Checkpoint) -> None:
        """Takes weights and seeds from a checkpoint."""
        self._assign(checkpoint, _variables(self.model, None))
        self.publish()

    def restore_network(self, checkpoint: Checkpoint, network: keras.Model) -> None:
        """Takes the state of optimizer and metrics as well, in the middle of a stage."""
        self._assign(checkpoint, _variables(self.model, network))

    def _assign(self, checkpoint: Checkpoint, variables: Mapping[str, Any]) -> None:
        check_arrays(checkpoint, variables)
        with self.strategy.scope():
            for key, variable in variables.items():
                variable.assign(checkpoint.arrays[key])

    def publish(self, network: keras.Model | None = None) -> None:
        """Gives the copy the weights of the model in training, or their moving averages, if there are any."""
        averages = {} if network is None else averaged_weights(network.optimizer)
        sources = {
            str(place): averages.get(id(weight), weight) for place, weight in enumerate(self.model.weights)
        }
        values = read_variables(sources, self.strategy)
        self.published.set_weights(list(values.values()))

    def adopt(self) -> None:
        """Gives the model in training the weights of the copy."""
        with self.strategy.scope():
            self.model.set_weights(self.published.get_weights())


def read_variables(variables: Mapping[str, Any], strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """The values of variables; with several workers each has to ask, for some values are means over them."""
    with strategy.scope():
        return {key: tf.convert_to_tensor(variable.value).numpy() for key, variable in variables.items()}


def check_arrays(checkpoint: Checkpoint, variables: Mapping[str, Any]) -> None:
    """Tells if a checkpoint is that of another model.

    Raises:
        ValueError: if its arrays are not the model's variables.
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
    """All that changes: weights and seeds, and while a stage is on its optimizer and its running metrics."""
    groups = {"model": model.variables}
    if network is not None:
        groups |= {"optimizer": network.optimizer.variables, "metrics": network.metrics_variables}
    return {f"{name}/{place:05d}": one for name, group in groups.items() for place, one in enumerate(group)}
