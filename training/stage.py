"""One stage of training: its steps, checkpoints and epochs.

TensorFlow itself is used here for `tf.function` and for distribution: the `fit` of Keras does not run on
several workers, but its `train_step` does.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_cam.graph.keras_internals import build_for_batch
from keras_cam.progress import progress as progress_bar
from keras_cam.training.checkpoints import Checkpoint
from keras_cam.training.classifier import compile_classifier, set_trainable, split_at_pooling
from keras_cam.training.config import Augmentation, ConfigError
from keras_cam.training.dataset import PooledFeatures
from keras_cam.training.epoch_end import is_out_of_patience
from keras_cam.training.optimizer import build_optimizer
from keras_cam.training.session import Session

_STEPS_BETWEEN_CHECKS = 50

Batches = Callable[[int, int, int, int, int], tf.data.Dataset]


class DivergedError(RuntimeError):
    """The loss is NaN or infinite."""


def train_stage(
    session: Session, checkpoint: Checkpoint | None, on_epoch: Callable[[dict[str, Any]], None]
) -> None:
    """Train the stage that `session.progress` names, from the step that it names.

    Args:
        session: the run.
        checkpoint: the checkpoint to go on from, if some steps of the stage are done.
        on_epoch: called after each epoch with its training loss and metrics, learning rate and seconds.

    Raises:
        DivergedError: the loss is NaN or infinite.
    """
    progress, stage = session.progress, session.stage
    started = time.perf_counter() - progress.seconds
    steps_per_epoch = session.images.order.steps_per_epoch
    last = stage.epochs * steps_per_epoch
    with session.strategy.scope():
        set_trainable(session.model, stage)
        network, batches = _network_and_batches(session)
        optimizer = build_optimizer(stage, steps_per_epoch)
        compile_classifier(network, session.config, optimizer, stage.label_smoothing, compiles(session))
    iterator = iter(_distributed(session, batches, progress.step, last))
    _build(session.strategy, network, iterator.element_spec)
    if checkpoint is not None:
        session.restore_network(checkpoint, network)
    step = step_function(session.strategy, network)
    layers = "classifier" if stage.trains == "head" else "all layers"
    title = f"Training {layers}, stage {progress.stage + 1} of {len(session.config.stages)}"
    with progress_bar(last, title) as advance:
        advance(progress.step)
        while progress.step < last:
            _train_epoch(session, network, lambda: _run(session, step, iterator), advance)
            figures = _figures(session, network)
            with session.strategy.scope():
                network.reset_metrics()
            session.publish(network)
            seconds = round(progress.epoch_seconds, 1)
            on_epoch({"learning_rate": learning_rate(network), **figures, "seconds": seconds})
            progress.epoch_seconds = 0.0
            progress.seconds = time.perf_counter() - started
            if is_out_of_patience(session):
                session.report(f"No better after {stage.patience} validations: the stage ends early.")
                break
            if progress.step < last:
                session.save(network)
    session.adopt()


def _train_epoch(
    session: Session, network: keras.Model, step: Callable[[], None], advance: Callable[[int], None]
) -> None:
    """The remaining steps of the current epoch."""
    progress, steps_per_epoch = session.progress, session.images.order.steps_per_epoch
    started, before = time.perf_counter() - progress.epoch_seconds, progress.seconds - progress.epoch_seconds
    for _ in range(progress.step % steps_per_epoch, steps_per_epoch):
        step()
        progress.step += 1
        advance(1)
        if progress.step % _STEPS_BETWEEN_CHECKS == 0:
            _figures(session, network)
        progress.epoch_seconds = time.perf_counter() - started
        progress.seconds = before + progress.epoch_seconds
        if _checkpoint_is_due(session):
            _figures(session, network)
            session.save(network)


def compiles(session: Session) -> bool:
    """Whether XLA compiles the training step: as configured, or on a single GPU. TPUs always compile.

    Raises:
        ConfigError: XLA should compile the step of several devices.
    """
    several = session.strategy.num_replicas_in_sync > 1
    if session.config.jit_compile == "auto":
        return not several and bool(tf.config.list_logical_devices("GPU"))
    if session.config.jit_compile and several:
        raise ConfigError(
            '`jit_compile` must be False or "auto" on several devices, which exchange gradients in a step. '
            "Received: jit_compile=True"
        )
    return session.config.jit_compile


def step_function(strategy: tf.distribute.Strategy, network: keras.Model) -> Callable[[Any], None]:
    """A function that trains on the next batch of an iterator, on all devices.

    Args:
        strategy: the distribution strategy in whose scope the network was built and compiled.
        network: a compiled model. Its variables, and those of its optimizer, exist already.
    """

    def train(data: Any) -> Any:
        strategy.run(network.train_step, args=(data,))

    compiled = tf.function(
        train, reduce_retracing=True, autograph=False, jit_compile=bool(network.jit_compile)
    )

    @tf.function(reduce_retracing=True, autograph=False)
    def step(iterator: Any) -> None:
        compiled(iterator.get_next())

    return step


def _run(session: Session, step: Callable[[Any], None], iterator: Any) -> None:
    try:
        step(iterator)
    except tf.errors.InvalidArgumentError:
        session.images.check_readable()
        raise


def _network_and_batches(session: Session) -> tuple[keras.Model, Batches]:
    """The model to train and its batches: the network and images, or its head and pooled features."""
    stage = session.stage
    if stage.trains == "all" or stage.augmentation != Augmentation():
        return session.model, lambda *part: session.images.batches(stage.augmentation, *part)
    # The published copy has the same weights, and running it needs no agreement between devices.
    trunk, _ = split_at_pooling(session.published)
    pooled = tf.function(lambda images: trunk(images, training=False), reduce_retracing=True, autograph=False)
    with progress_bar(len(session.images.annotated), "Computing the features of each image once") as advance:
        features = PooledFeatures(session.images, pooled, advance)
    _, head = split_at_pooling(session.model)
    return head, features.batches


def _distributed(session: Session, batches: Batches, first: int, last: int) -> Any:
    """The batches of these steps, with the part of each device on that device."""
    strategy, before = session.strategy, session.steps_before

    def part(context: tf.distribute.InputContext) -> tf.data.Dataset:
        workers = context.num_input_pipelines
        devices = context.num_replicas_in_sync // workers
        return batches(before + first, before + last, context.input_pipeline_id, workers, devices)

    return strategy.distribute_datasets_from_function(part)


def _build(strategy: tf.distribute.Strategy, network: keras.Model, spec: Any) -> None:
    """Create the variables of optimizer and metrics, which a `tf.function` cannot do."""
    local = tf.nest.map_structure(
        lambda one: one._value_specs[0] if hasattr(one, "_value_specs") else one,
        spec,
        expand_composites=False,
    )
    with strategy.scope():
        build_for_batch(network, local)
        network.optimizer.build(network.trainable_variables)


def _checkpoint_is_due(session: Session) -> bool:
    every, step = session.config.checkpoint_every, session.progress.step
    # There is always one after an epoch.
    return every is not None and step % every == 0 and step % session.images.order.steps_per_epoch != 0


def _figures(session: Session, network: keras.Model) -> dict[str, float]:
    """The means of loss and metrics in this epoch so far, over all workers.

    Raises:
        DivergedError: the loss is NaN or infinite.
    """
    with session.strategy.scope():
        figures = {name: float(value) for name, value in network.get_metrics_result().items()}
    if not math.isfinite(figures["loss"]):
        step = session.steps_before + session.progress.step
        raise DivergedError(
            f"The loss is {figures['loss']} at step {step} (stage {session.progress.stage}, learning rate "
            f"{learning_rate(network):.3g}). A lower `learning_rate`, a `clip_norm` or more "
            "`warmup_epochs` may help. The last checkpoint was written before."
        )
    return figures


def learning_rate(network: keras.Model) -> float:
    """The learning rate of the next update."""
    return float(keras.ops.convert_to_numpy(network.optimizer.learning_rate))
