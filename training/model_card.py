"""The README.md of a run: what the model is, its data, its figures, and how to train it again.

TensorFlow itself is used here for the number of its version.
"""

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_cam
from keras_cam.training.class_report import class_report
from keras_cam.training.config import TrainingConfig
from keras_cam.training.markdown import markdown_code, markdown_text
from keras_cam.training.session import Session
from keras_cam.training.training_data import TrainingData

_MOST_NAMES = 20


def model_card(
    session: Session,
    data: TrainingData,
    figures: Mapping[str, Any],
    confusion: np.ndarray | None,
    command: str,
) -> str:
    """The model card of a finished run, in Markdown.

    Args:
        session: the run.
        data: its data.
        figures: the figures of the epoch whose weights are kept.
        confusion: the confusion matrix of the validation images, see `confusion_matrix`; None without
            validation, or if images have several labels.
        command: the command that starts the run.
    """
    config, picture = session.config, session.folder.pictures_path
    boxes_used = ", but boxes chose the epoch." if config.select == "gt_known" else "."
    parts = [
        f"# {config.model} for {len(data.labels)} classes",
        "A classifier whose class activation maps localize, trained by keras-cam on image labels. "
        f"It was trained without boxes{boxes_used}",
        _use(session),
        "## Data\n\n" + _data(data, session.images.failures),
        "## Figures\n\n" + _figures(session, figures),
        f"![Validation images, their maps and boxes]({picture.name})" if picture.exists() else "",
        "" if confusion is None else _classes(session, confusion, data.labels),
        "## How it was made\n\n" + _origin(session, command),
        "<details><summary>Configuration</summary>\n\n"
        f"{markdown_code(_configuration(config), 'python')}\n\n</details>",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _use(session: Session) -> str:
    if session.localizer is None:
        return '```python\nmodel = keras.models.load_model("model.keras")\n```'
    return f"```bash\nkeras-cam localize photos/ --model {session.folder.localizer_path.name}\n```"


def _data(data: TrainingData, failures: Mapping[str, str]) -> str:
    lines = [f"- training: {markdown_text(str(data.train))}"]
    if data.validation is not None:
        lines.append(f"- validation: {markdown_text(str(data.validation))}")
    more = len(data.labels) - _MOST_NAMES
    names = ", ".join(map(markdown_text, data.labels[:_MOST_NAMES])) + (
        f" and {more} more" if more > 0 else ""
    )
    lines.append(f"- classes: {names}")
    if failures:
        first = markdown_text("; ".join(list(failures.values())[:5]))
        lines.append(f"- {len(failures)} training images could not be read: {first}")
    return "\n".join(lines)


def _figures(session: Session, figures: Mapping[str, Any]) -> str:
    names = [name for name in figures if name.startswith("val_")] or ["loss"]
    lines = ["| figure | value |", "| --- | --- |"]
    lines += [
        f"| {name.removeprefix('val_').replace('_', ' ')} | {_number(figures[name])} |" for name in names
    ]
    kept = "The weights are those after the last epoch."
    if session.progress.best is not None:
        kept = f"The weights are those of epoch {figures['epoch']}, the best by {session.config.select}."
    return "\n".join(lines) + f"\n\n{kept}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _classes(session: Session, confusion: np.ndarray, labels: Sequence[str]) -> str:
    parts = ["## Classes", class_report(confusion, labels)]
    picture, images = session.folder.mistakes_path, int(confusion.sum())
    if picture.exists():
        wrong = images - int(np.trace(confusion))
        parts.append(f"{wrong} of {images} validation images are classified wrong. Examples:")
        parts.append(f"![Images classified wrong, the map of the class each is taken for]({picture.name})")
    return "\n\n".join(parts)


def _origin(session: Session, command: str) -> str:
    devices = session.strategy.num_replicas_in_sync
    versions = f"keras-cam {keras_cam.__version__}, Keras {keras.__version__}, TensorFlow {tf.__version__}"
    where = f"{devices} {'device' if devices == 1 else 'devices'} ({platform.machine()})"
    return (
        f"{markdown_code(command, 'bash')}\n\n"
        f"{session.config.epochs} epochs in {session.progress.seconds / 60:.1f} minutes on {where}; "
        f"{session.published.count_params():,} parameters; {versions}."
    )


def _configuration(config: TrainingConfig) -> str:
    lines = [f"    {name}={getattr(config, name)!r}," for name in vars(config) if name != "stages"]
    stages = [f"        {stage!r}," for stage in config.stages]
    return "\n".join(["TrainingConfig(", "    stages=(", *stages, "    ),", *lines, ")"])
