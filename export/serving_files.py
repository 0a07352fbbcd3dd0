"""Configuration files for TensorFlow Serving: the list of models and the batching parameters."""

from pathlib import Path

_MODELS = """\
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""

_BATCHING = """\
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 4 }
"""


def write_serving_files(model_folder: str | Path) -> list[Path]:
    """Write `models.config` and `batching_parameters.txt` into the folder of a model's versions.

    The configuration is for a server on which the folder is `/models/NAME`. Existing files are kept, because
    they may have been edited.

    Args:
        model_folder: the folder of the versions. Its name is the name of the model.

    Returns:
        The two files.

    Reference:
        https://www.tensorflow.org/tfx/serving/serving_config

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "cam").mkdir()
        ...     print(write_serving_files(f"{folder}/cam")[0].read_text().splitlines()[3])
            base_path: "/models/cam"
    """
    folder = Path(model_folder)
    contents = {
        "models.config": _MODELS.format(name=folder.resolve().name),
        "batching_parameters.txt": _BATCHING,
    }
    for name, text in contents.items():
        if not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in contents]
