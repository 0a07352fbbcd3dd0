"""After the last epoch: the foreground, the files of the models, and the model card."""

import shlex
from pathlib import Path

import keras
import numpy as np

from keras_cam.images.files import write_png
from keras_cam.images.whole_file import whole_file
from keras_cam.inference.keras import KerasLocalizer
from keras_cam.localizer import build_localizer
from keras_cam.progress import progress as progress_bar
from keras_cam.training.class_report import confusion_matrix
from keras_cam.training.epoch_end import figures_text, restore_best
from keras_cam.training.foreground import train_foreground
from keras_cam.training.model_card import model_card
from keras_cam.training.session import Session
from keras_cam.training.training_data import TrainingData
from keras_cam.training.validation import Validator


def finish_run(session: Session, data: TrainingData, command: str) -> None:
    """Take the weights that the run keeps, and write the classifier, the localizer and the model card.

    Args:
        session: the run. Its localizer is replaced by the one that has learned what is foreground, if the
            configuration asks for that.
        data: its data.
        command: the command that starts the run, for the model card.

    Raises:
        OSError: a file cannot be written.
    """
    folder = session.folder
    figures = restore_best(session)
    if not folder.writes:
        return
    if session.config.foreground and session.localizer is not None:
        figures = {**figures, **_learn_foreground(session, data)}
    _save_whole(session.published, folder.model_path)
    if session.localizer is not None:
        _save_whole(session.localizer.model, folder.localizer_path)
    confusion = _judge_classes(session, data)
    folder.write_text("README.md", model_card(session, data, figures, confusion, command))
    session.report(f"Classifier: {folder.model_path}")
    if session.localizer is not None:
        session.report(_next_commands(folder.localizer_path))


def _learn_foreground(session: Session, data: TrainingData) -> dict[str, float]:
    """Give the localizer a foreground learned from the training images; returns the figures with it."""
    try:
        with progress_bar(len(data.train), "Learning what is foreground") as advance:
            foreground = train_foreground(
                session.published, data.train, seed=session.config.seed, on_image=lambda error: advance(1)
            )
    except ValueError as error:  # maps cannot be refined
        session.report(f"The localizer has no foreground. {error}")
        return {}
    session.localizer = KerasLocalizer(build_localizer(session.published, foreground=foreground))
    if data.validation is None:
        return {}
    session.validator = Validator(session.published, session.localizer, data.validation, session.config)
    picture = session.validator.pictures()
    if picture is not None:
        write_png(session.folder.pictures_path, picture)
    figures = session.validator.figures()
    session.report(f"With foreground: {figures_text(figures)}")
    return figures


def _next_commands(localizer: Path) -> str:
    name, exported = (shlex.quote(str(path)) for path in (localizer, localizer.with_suffix(".tflite")))
    return (
        f"Localizer: {localizer}\n\nNext:\n"
        f"  keras-cam localize photos/ --model {name}\n"
        f"  keras-cam export --model {name} --format litert --output {exported}"
    )


def _judge_classes(session: Session, data: TrainingData) -> np.ndarray | None:
    """The confusion matrix of the validation images; also writes pictures of what is classified wrong."""
    if data.validation is None or session.validator is None or session.config.multi_label:
        return None
    predicted = session.validator.predictions()
    mistakes = session.validator.mistakes(predicted)
    if mistakes is None:
        session.folder.mistakes_path.unlink(missing_ok=True)
    else:
        write_png(session.folder.mistakes_path, mistakes)
    return confusion_matrix(data.validation.labels, predicted, len(data.labels))


def _save_whole(model: keras.Model, path: Path) -> None:
    """Write a Keras model whole or not at all."""
    with whole_file(path) as unfinished:
        try:
            model.save(unfinished)
        except RuntimeError as error:  # of HDF5, when the disk is full
            raise OSError(str(error)) from error
