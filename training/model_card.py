"""The README.md of a run: what the model is, from what data, how good, and how to make it again.

TensorFlow itself is used here for the number of its version.
"""

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

import keras_cam
from keras_cam.training.config import TrainingConfig
from keras_cam.training.training_data import TrainingData


def model_card(
    config: TrainingConfig,
    data: TrainingData,
    history: Sequence[Mapping[str, Any]],
    *,
    command: str,
    kept: str,
    parameters: int,
    seconds: float,
    devices: int,
    failures: Mapping[str, str],
    picture: str | None,
) -> str:
    """The text in Markdown.

    Args:
        config: what the run was told.
        data: what it learned from.
        history: a row of figures for each epoch, of which the last one that was validated is told.
        command: what started it.
        kept: which epoch's weights were kept, in words.
        parameters: of the model.
        seconds: how long it took.
        devices: how many computed it.
        failures: the images that could not be read, and why.
        picture: the file of validation pictures, if there is one.
    """
    parts = [
        f"# {config.model} for {len(data.labels)} classes",
        "A classifier whose class activation maps localize, trained by keras-cam on labels of whole images. "
        "No box was shown to it" + (", but boxes chose the epoch." if config.select == "gt_known" else "."),
        "```bash\nkeras-cam localize photos/ --model model.keras\n```",
        "## Data\n\n" + _data(data, failures),
        "## Figures\n\n" + _figures(history) + f"\n\n{kept}",
        "" if picture is None else f"![Validation images, their maps and boxes]({picture})",
        "## How it was made\n\n" + _origin(config, command, parameters, seconds, devices),
        f"<details><summary>Configuration</summary>\n\n```python\n{_configuration(config)}\n```\n\n</details>",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _data(data: TrainingData, failures: Mapping[str, str]) -> str:
    lines = [f"- training: {data.train}"]
    if data.validation is not None:
        lines.append(f"- validation: {data.validation}")
    names = ", ".join(data.labels[:20]) + (
        f" and {len(data.labels) - 20} more" if len(data.labels) > 20 else ""
    )
    lines.append(f"- classes: {names}")
    if failures:
        first = "; ".join(list(failures.values())[:5])
        lines.append(f"- {len(failures)} training images could not be read: {first}")
    return "\n".join(lines)


def _figures(history: Sequence[Mapping[str, Any]]) -> str:
    judged = [row for row in history if any(name.startswith("val_") for name in row)]
    row = judged[-1] if judged else history[-1]
    names = [name for name in row if name.startswith("val_")] or ["loss"]
    lines = ["| figure | value |", "| --- | --- |"]
    lines += [f"| {name.removeprefix('val_').replace('_', ' ')} | {_number(row[name])} |" for name in names]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _origin(config: TrainingConfig, command: str, parameters: int, seconds: float, devices: int) -> str:
    versions = f"keras-cam {keras_cam.__version__}, Keras {keras.__version__}, TensorFlow {tf.__version__}"
    where = f"{devices} {'device' if devices == 1 else 'devices'} ({platform.machine()})"
    return (
        f"```bash\n{command}\n```\n\n{config.epochs} epochs in {seconds / 60:.1f} minutes on {where}; "
        f"{parameters:,} parameters; {versions}."
    )


def _configuration(config: TrainingConfig) -> str:
    lines = [f"    {name}={getattr(config, name)!r}," for name in vars(config) if name != "stages"]
    stages = [f"        {stage!r}," for stage in config.stages]
    return "\n".join(["TrainingConfig(", "    stages=(", *stages, "    ),", *lines, ")"])
