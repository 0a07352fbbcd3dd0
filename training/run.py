"""A training run from beginning to end.

TensorFlow itself is used here for `tf.distribute`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_cam.images.resize import input_size_hw
from keras_cam.inference.keras import KerasLocalizer
from keras_cam.localizer import build_localizer
from keras_cam.training.checkpoints import Checkpoint
from keras_cam.training.classifier import build_classifier, compile_classifier, has_maps
from keras_cam.training.config import ConfigError, TrainingConfig
from keras_cam.training.config_files import DEFAULT_CONFIG, load_config
from keras_cam.training.dataset import TrainingImages, balanced_weights
from keras_cam.training.epoch_end import finish_epoch
from keras_cam.training.run_end import finish_run
from keras_cam.training.run_folder import RunFolder
from keras_cam.training.session import Progress, Session
from keras_cam.training.stage import train_stage
from keras_cam.training.strategies import agree, is_chief, make_strategy, noticing_lost_workers
from keras_cam.training.tensorboard_log import TensorBoardLog
from keras_cam.training.training_data import TrainingData, read_training_data
from keras_cam.training.validation import Validator

# What `TrainingConfig.select` means for the validation images.
_CHOICE = {
    "last": "The saved model has the weights of the last epoch.",
    "accuracy": "The saved model has the weights of the epoch with the best validation accuracy.",
    "gt_known": "The saved model has the weights of the epoch with the best boxes, so boxes matter.",
}


class StoppedError(RuntimeError):
    """The folder of a run cannot be written, for instance because the disk is full."""


@dataclass(frozen=True)
class TrainedModel:
    """The result of a run.

    Attributes:
        model: the classifier, with the names of its classes. It returns logits, or probabilities if images
            have several labels.
        localizer: the classifier as a localizer, as `keras_cam.build_localizer` makes it by default, with the
            foreground if the configuration asks for it; they share their layers. None if the network has no
            class activation maps.
        history: the figures of each epoch.
        folder: the folder of `model.keras`, `localizer.keras`, `history.csv` and the model card.
    """

    model: keras.Model
    localizer: keras.Model | None
    history: list[dict[str, Any]]
    folder: Path


def train(
    config: TrainingConfig | str | Path = DEFAULT_CONFIG,
    data: str | Path | None = None,
    output: str | Path = "keras-cam-run",
    strategy: str = "auto",
    *,
    report: Callable[[str], None] = print,
    command: str | None = None,
) -> TrainedModel:
    """Train a classifier on image labels, or go on with the run of a folder.

    Args:
        config: a `TrainingConfig`, one of `list_configs()`, or the path of a Python file with `get_config()`.
            By default "transfer", for photos of your own.
        data: the images, see `keras_cam.data.read_annotations`; None for those that `config` names.
        output: the folder of the run.
        strategy: one of `keras_cam.training.STRATEGIES`.
        report: called with each line about the progress; with several workers, only by the first one.
        command: the command that starts the run, for the model card; None for a call of this function.

    Returns:
        The classifier, its localizer and the history.

    Raises:
        ConfigError: the configuration is not valid, does not fit the data, or is not the one with which the
            run of the folder was started.
        AnnotationError: the data cannot be read.
        DivergedError: the loss is NaN or infinite.
        WorkerLostError: another worker has stopped.
        StoppedError: the folder cannot be written. The last checkpoint is kept.

    Examples: two colours, a few steps.
        >>> import tempfile
        >>> from PIL import Image
        >>> from keras_cam.training import Stage
        >>> folder = Path(tempfile.mkdtemp())
        >>> for place, colour in enumerate(["red", "blue"] * 4):
        ...     (folder / "photos" / colour).mkdir(parents=True, exist_ok=True)
        ...     Image.new("RGB", (32, 32), colour).save(folder / "photos" / colour / f"{place}.png")
        >>> config = TrainingConfig(
        ...     model="alexnet_gap", head_filters=8, image_size=(67, 67), batch_size=4, train_split=None,
        ...     validation_split=None, stages=(Stage(epochs=2, learning_rate=0.001),))
        >>> trained = train(config, folder / "photos", folder / "run", report=lambda line: None)
        >>> trained.model.output_shape, len(trained.history), (folder / "run" / "localizer.keras").exists()
        ((None, 2), 2, True)
    """
    if not isinstance(config, TrainingConfig):
        config = load_config(config)
    distribution = make_strategy(strategy)
    folder = RunFolder(output, writes=is_chief(distribution))
    say = report if folder.writes else lambda line: None
    images = read_training_data(config, None if data is None else str(data), say)
    config = config.for_images(len(images.train))
    command = command or _call(config, data, output)
    try:
        with _precision(config.precision):
            with _stopping(folder):
                folder.claim({"config": config.to_dict(), "data": images.identity()})
            session = _begin(config, distribution, images, folder, say)
            with _stopping(folder):
                return _train(session, images, command)
    finally:
        folder.release()


def _train(session: Session, images: TrainingData, command: str) -> TrainedModel:
    """All stages that are not done yet, and what is made of the trained weights."""
    folder, distribution = session.folder, session.strategy
    checkpoint = folder.checkpoints.latest(session.report)
    _announce(session, images, checkpoint)
    if checkpoint is not None:
        session.progress = Progress(**checkpoint.state)
        session.restore_model(checkpoint)
    log = TensorBoardLog(folder.path / "tensorboard") if folder.writes else None
    with noticing_lost_workers(distribution):
        _check_agreement(session)
        while session.progress.stage < len(session.config.stages):
            inside = checkpoint if session.progress.step else None
            train_stage(session, inside, lambda row: finish_epoch(session, row, log))
            session.progress.stage += 1
            session.progress.step = 0
            session.save()
            checkpoint = None
    finish_run(session, images, command)
    localizer = None if session.localizer is None else session.localizer.model
    return TrainedModel(session.published, localizer, session.progress.history, folder.path)


@contextmanager
def _stopping(folder: RunFolder) -> Iterator[None]:
    """Turn an error of the disk into a `StoppedError`."""
    try:
        yield
    except OSError as error:
        raise StoppedError(_why_stopped(folder, error)) from error


def _why_stopped(folder: RunFolder, error: OSError) -> str:
    reason = " ".join((error.strerror or str(error)).split())
    saved = folder.checkpoints.paths()
    kept = (
        f"{saved[-1]} is kept, and the same command goes on from it"
        if saved
        else "There is no checkpoint yet"
    )
    return f"Training stopped, because {folder.path} cannot be written ({reason}). {kept}."


def _call(config: TrainingConfig, data: Any, output: Any) -> str:
    return f"keras_cam.training.train({config.model} …, data={str(data)!r}, output={str(output)!r})"


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Set the dtype policy of Keras, and restore it at the end."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _begin(
    config: TrainingConfig,
    strategy: tf.distribute.Strategy,
    data: TrainingData,
    folder: RunFolder,
    report: Callable[[str], None],
) -> Session:
    """The state of a run before its first step."""
    _check_batches(config, strategy)
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = build_classifier(config, data.labels)
    published = build_classifier(config, data.labels, "sigmoid" if config.multi_label else None)
    compile_classifier(published, config)
    images = TrainingImages(
        data.train,
        input_size_hw(published.inputs[0].shape),
        multi_label=config.multi_label,
        class_weights=balanced_weights(data.train) if config.class_weights else None,
        batch_size=config.batch_size,
        seed=config.seed,
        keep=config.cache == "memory",
    )
    localizer = KerasLocalizer(build_localizer(published)) if has_maps(config) else None
    validator = None
    if data.validation is not None and folder.writes:
        validator = Validator(published, localizer, data.validation, config)
    session = Session(
        config, strategy, images, folder, model, published, localizer, validator, Progress(), report
    )
    session.publish()
    return session


def _check_batches(config: TrainingConfig, strategy: tf.distribute.Strategy) -> None:
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise ConfigError(
            f"`batch_size` must be a multiple of the number of devices, {replicas}. "
            f"Received: batch_size={config.batch_size}"
        )


def _check_agreement(session: Session) -> None:
    if not agree(session.strategy, session.steps_before + session.progress.step):
        raise ConfigError(
            "All workers must see the same folder, with the same checkpoints. In "
            f"{session.folder.path} this worker finds step {session.steps_before + session.progress.step}, "
            "and others find another step"
        )


def _announce(session: Session, data: TrainingData, checkpoint: Checkpoint | None) -> None:
    config, report = session.config, session.report
    report(f"{config.model}, {session.model.count_params():,} parameters, on {data.train}")
    if data.validation is not None:
        report(f"Validation on {data.validation}. {_CHOICE[config.select]}")
    if not TensorBoardLog.available():
        report('TensorBoard is not installed, so no events are written: pip install "keras-cam[train]"')
    if checkpoint is not None:
        report(f"Going on from {checkpoint.path}.")
