"""The whole of a training run.

TensorFlow itself is used here for `tf.distribute`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_cam.images.files import write_png
from keras_cam.images.resize import input_size_hw
from keras_cam.images.whole_file import whole_file
from keras_cam.training.checkpoints import Checkpoint
from keras_cam.training.classifier import build_classifier, compile_classifier
from keras_cam.training.config import ConfigError, TrainingConfig
from keras_cam.training.config_files import load_config
from keras_cam.training.dataset import TrainingImages, balanced_weights
from keras_cam.training.model_card import model_card
from keras_cam.training.run_folder import RunFolder
from keras_cam.training.session import Progress, Session
from keras_cam.training.stage import train_stage
from keras_cam.training.strategies import agree, is_chief, make_strategy, noticing_lost_workers
from keras_cam.training.tensorboard_log import TensorBoardLog
from keras_cam.training.training_data import TrainingData, read_training_data
from keras_cam.training.validation import Validator

_BEST = {"accuracy": "val_accuracy", "gt_known": "val_gt_known_accuracy"}


@dataclass(frozen=True)
class TrainedModel:
    """What comes out of a run.

    Attributes:
        model: the classifier, with the names of its classes; it returns logits, or with several labels an
            image the probability of each.
        history: for each epoch its figures.
        folder: where `model.keras`, `history.csv`, the model card and all else are.
    """

    model: keras.Model
    history: list[dict[str, Any]]
    folder: Path


def train(
    config: TrainingConfig | str | Path,
    data: str | Path | None = None,
    output: str | Path = "keras-cam-run",
    strategy: str = "auto",
    *,
    report: Callable[[str], None] = print,
    command: str | None = None,
) -> TrainedModel:
    """Trains a classifier on labels of whole images, or goes on with the run that is in the folder.

    Args:
        config: a `TrainingConfig`, one of `list_configs()`, or the path of a Python file with `get_config()`.
        data: where the images are, see `keras_cam.data.read_annotations`; None for what `config` says.
        output: the folder of the run.
        strategy: one of `keras_cam.training.STRATEGIES`.
        report: called with each line that people should read; with several workers, by the first one alone.
        command: how the model card says the run is started; None for a call of this function.

    Returns:
        The classifier and the history.

    Raises:
        ConfigError: if the configuration is none, does not fit the data, or is not that of the folder's run.
        AnnotationError: if the data cannot be read.
        DivergedError: if the loss is no number any more.

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
        >>> trained.model.output_shape, len(trained.history), (folder / "run" / "model.keras").exists()
        ((None, 2), 2, True)
    """
    if not isinstance(config, TrainingConfig):
        config = load_config(config)
    distribution = make_strategy(strategy)
    folder = RunFolder(output, writes=is_chief(distribution))
    say = report if folder.writes else lambda line: None
    images = read_training_data(config, None if data is None else str(data), say)
    folder.claim({"config": config.to_dict(), "data": images.identity()})
    command = command or _call(config, data, output)
    with _precision(config.precision):
        session = _begin(config, distribution, images, folder, say)
        checkpoint = folder.checkpoints.latest(say)
        _announce(session, images, checkpoint)
        if checkpoint is not None:
            session.progress = Progress(**checkpoint.state)
            session.restore_model(checkpoint)
        log = TensorBoardLog(folder.path / "tensorboard") if folder.writes else None
        with noticing_lost_workers(distribution):
            _check_agreement(session)
            while session.progress.stage < len(config.stages):
                inside = checkpoint if session.progress.step else None
                train_stage(session, inside, lambda row: _finish_epoch(session, row, log))
                session.progress.stage += 1
                session.progress.step = 0
                session.save()
                checkpoint = None
        return _finish(session, images, command)


def _call(config: TrainingConfig, data: Any, output: Any) -> str:
    return f"keras_cam.training.train({config.model} …, data={str(data)!r}, output={str(output)!r})"


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Builds networks under a dtype policy, and leaves Keras as it was."""
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
    """A run before its first step."""
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
    validator = None
    if data.validation is not None and folder.writes:
        validator = Validator(published, data.validation, config)
    session = Session(config, strategy, images, folder, model, published, validator, Progress(), report)
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
            f"All workers must see the same folder and checkpoints. Received: {session.folder.path}, which "
            f"leads this one to step {session.steps_before + session.progress.step} and others elsewhere"
        )


def _announce(session: Session, data: TrainingData, checkpoint: Checkpoint | None) -> None:
    config, report = session.config, session.report
    report(f"{config.model}, {session.model.count_params():,} parameters, on {data.train}")
    if data.validation is not None:
        use = "does not" if config.select == "last" else "does"
        report(f"Validation on {data.validation}, which {use} choose the weights that are kept.")
        if config.select == "gt_known":
            report(
                "Boxes of the validation images choose the weights: this run is not trained on labels alone."
            )
    if not TensorBoardLog.available():
        report('No events for TensorBoard: pip install "keras-cam[train]"')
    if checkpoint is not None:
        report(f"Going on from {checkpoint.path}.")


def _finish_epoch(session: Session, figures: dict[str, Any], log: TensorBoardLog | None) -> None:
    """Judges the epoch, notes it everywhere, and keeps its weights if they are the best."""
    progress, config = session.progress, session.config
    row = {"epoch": len(progress.history) + 1, "stage": progress.stage, **figures}
    picture = None
    if session.validator is not None and _is_judged(session):
        row |= session.validator.figures()
        picture = session.validator.pictures()
    row["seconds"] = round(progress.seconds, 1)
    progress.history.append(row)
    if not session.folder.writes:
        return
    _keep_best(session, row)
    session.folder.write_history(progress.history)
    if picture is not None:
        write_png(session.folder.pictures_path, picture)
    if log is not None:
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        log.write(row["epoch"], numbers, picture)
    session.report(_line(row, config))


def _is_judged(session: Session) -> bool:
    """Whether the epoch that is over is validated: each so many, and the last one of a stage."""
    every, done = session.config.validate_every, len(session.progress.history) + 1
    steps_per_epoch = session.images.order.steps_per_epoch
    at_end = session.progress.step == session.stage.epochs * steps_per_epoch
    return at_end or (every > 0 and done % every == 0)


def _keep_best(session: Session, row: dict[str, Any]) -> None:
    wanted = _BEST.get(session.config.select)
    if wanted is None or row.get(wanted) is None:
        return
    best = session.progress.best
    if best is None or row[wanted] > best[0]:
        session.progress.best = (row[wanted], row["epoch"])
        weights = {f"{place:05d}": value for place, value in enumerate(session.published.get_weights())}
        _best_path(session).parent.mkdir(exist_ok=True)
        with whole_file(_best_path(session)) as unfinished:
            np.savez(unfinished, **weights)


def _best_path(session: Session) -> Path:
    return session.folder.path / "checkpoints" / "best.npz"


def _line(row: dict[str, Any], config: TrainingConfig) -> str:
    """An epoch in one line."""
    named = {name: value for name, value in row.items() if isinstance(value, float) and name != "seconds"}
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in named.items())
    return f"epoch {row['epoch']} of {config.epochs}: {figures} ({row['seconds']:.0f} s)"


def _finish(session: Session, data: TrainingData, command: str) -> TrainedModel:
    """Writes the model and its card."""
    folder, progress = session.folder, session.progress
    kept = "The weights are those after the last epoch."
    if progress.best is not None:
        with np.load(_best_path(session)) as archive:
            session.published.set_weights([archive[name] for name in archive.files])
        kept = f"The weights are those of epoch {progress.best[1]}, the best by {session.config.select}."
    if folder.writes:
        with whole_file(folder.model_path) as unfinished:
            session.published.save(unfinished)
        card = model_card(
            session.config,
            data,
            progress.history,
            command=command,
            kept=kept,
            parameters=session.published.count_params(),
            seconds=progress.seconds,
            devices=session.strategy.num_replicas_in_sync,
            failures=session.images.failures,
            picture=folder.pictures_path.name if folder.pictures_path.exists() else None,
        )
        folder.write_text("README.md", card)
        session.report(f"The classifier: {folder.model_path}")
    return TrainedModel(session.published, progress.history, folder.path)
