"""After each epoch: figures, pictures, and the best weights so far."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_cam.images.files import write_png
from keras_cam.images.whole_file import whole_file
from keras_cam.training.config import TrainingConfig
from keras_cam.training.session import Session
from keras_cam.training.tensorboard_log import TensorBoardLog

# The figure by which `TrainingConfig.select` chooses an epoch.
_BEST = {"accuracy": "val_accuracy", "gt_known": "val_gt_known_accuracy"}


def finish_epoch(session: Session, figures: dict[str, Any], log: TensorBoardLog | None) -> None:
    """Validate the epoch, write its figures and pictures, and keep its weights if they are the best.

    Args:
        session: the run.
        figures: the training loss and metrics of the epoch, and its `seconds`.
        log: the log for TensorBoard; None for none.
    """
    progress = session.progress
    row = {"epoch": len(progress.history) + 1, "stage": progress.stage, **figures}
    seconds = row.pop("seconds")
    picture = None
    if session.validator is not None and _is_validated(session):
        row |= session.validator.figures()
        picture = session.validator.pictures()
    row["seconds"] = seconds
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
    session.report(_line(row, session.config))


def is_out_of_patience(session: Session) -> bool:
    """Whether the validations that `Stage.patience` allows have passed without a better figure."""
    patience = session.stage.patience
    figure = _BEST.get(session.config.select, _BEST["accuracy"])
    rows = [row for row in session.progress.history if row["stage"] == session.progress.stage]
    values = [row[figure] for row in rows if row.get(figure) is not None]
    return (
        patience is not None and len(values) > patience and max(values[-patience:]) <= max(values[:-patience])
    )


def restore_best(session: Session) -> dict[str, Any]:
    """Give the published model the weights that the run keeps; returns the figures of their epoch."""
    best = session.progress.best
    if best is None:
        return session.progress.history[-1]
    with np.load(_best_path(session)) as archive:
        session.published.set_weights([archive[name] for name in archive.files])
    return session.progress.history[best[1] - 1]


def _is_validated(session: Session) -> bool:
    """Whether to validate the epoch that has ended: every `validate_every`, and the last one of a stage."""
    every, done = session.config.validate_every, len(session.progress.history) + 1
    if session.stage.patience is not None:
        return True
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
    """The figures of an epoch in one line."""
    named = {name: value for name, value in row.items() if isinstance(value, float) and name != "seconds"}
    return f"epoch {row['epoch']} of {config.epochs}: {figures_text(named)} ({row['seconds']:.1f} s)"


def figures_text(figures: Mapping[str, float]) -> str:
    """Figures in a line.

    Examples:
        >>> figures_text({"loss": 0.123456, "val_accuracy": 0.9})
        'loss 0.1235, val accuracy 0.9'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items())
