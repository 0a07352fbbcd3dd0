"""The optimizer of a stage, made of Keras' own optimizers and schedules."""

from typing import Any

import keras
from keras import ops

from keras_cam.graph.keras_internals import moving_averages
from keras_cam.training.config import Stage

_NOT_DECAYED = ["bias", "beta", "gamma"]


@keras.saving.register_keras_serializable("keras_cam")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly from 0, and then follows another schedule.

    Args:
        schedule: the schedule after the warm-up; its step 0 is the end of the warm-up.
        steps: the number of steps of the warm-up.

    Reference:
        Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, section 2.2.

    Examples:
        >>> halved = keras.optimizers.schedules.PiecewiseConstantDecay([2], [1.0, 0.5])
        >>> rate = WarmUp(halved, 4)
        >>> [float(rate(step)) for step in (0, 1, 4, 6, 7)]
        [0.0, 0.25, 1.0, 1.0, 0.5]
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, steps: int) -> None:
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
        step = ops.cast(step, "float32")
        rising = ops.minimum(step / self.steps, 1.0)
        return rising * self.schedule(ops.maximum(step - self.steps, 0.0))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WarmUp":
        """Make a schedule from its arguments."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])


def build_schedule(stage: Stage, steps_per_epoch: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate of a stage, as a function of its updates.

    Args:
        stage: the stage.
        steps_per_epoch: the number of updates in an epoch: of batches divided by `accumulate`.

    Examples:
        >>> stage = Stage(epochs=4, learning_rate=0.5, schedule="step", step_epochs=2, step_factor=0.5)
        >>> rate = build_schedule(stage, steps_per_epoch=10)
        >>> [float(rate(step)) for step in (0, 19, 20, 39)]
        [0.5, 0.5, 0.25, 0.25]
    """
    warmup = round(stage.warmup_epochs * steps_per_epoch)
    schedule: keras.optimizers.schedules.LearningRateSchedule
    if stage.schedule == "cosine":
        steps = max(1, stage.epochs * steps_per_epoch - warmup)
        schedule = keras.optimizers.schedules.CosineDecay(stage.learning_rate, steps)
    else:
        steps_apart = max(1, round(stage.step_epochs * steps_per_epoch))
        factor = stage.step_factor if stage.schedule == "step" else 1.0
        schedule = keras.optimizers.schedules.ExponentialDecay(
            stage.learning_rate, steps_apart, factor, staircase=True
        )
    return WarmUp(schedule, warmup) if warmup else schedule


def build_optimizer(stage: Stage, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer of a stage.

    Args:
        stage: the stage.
        steps_per_epoch: the number of batches in an epoch.
    """
    options: dict[str, Any] = {
        "learning_rate": build_schedule(stage, max(1, steps_per_epoch // stage.accumulate)),
        "global_clipnorm": stage.clip_norm,
        "use_ema": stage.ema is not None,
        "gradient_accumulation_steps": stage.accumulate if stage.accumulate > 1 else None,
    }
    if stage.ema is not None:
        options["ema_momentum"] = stage.ema
    if stage.optimizer == "sgd":
        decay = stage.weight_decay or None
        optimizer = keras.optimizers.SGD(momentum=stage.momentum, weight_decay=decay, **options)
    else:
        optimizer = keras.optimizers.AdamW(weight_decay=float(stage.weight_decay), **options)
    if stage.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


def averaged_weights(optimizer: keras.optimizers.Optimizer) -> dict[int, Any]:
    """The moving averages of an optimizer, if it keeps any, by the `id` of their weights."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # mixed precision wraps it
    return (
        {id(weight): average for weight, average in moving_averages(optimizer)} if optimizer.use_ema else {}
    )
