"""Configurations from files, and changes of their values by the flags of `ml_collections`."""

import dataclasses
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from runpy import run_path
from typing import Any, get_type_hints

from absl import flags
from ml_collections import config_flags
from ml_collections.config_dict import ConfigDict, FieldReference

from keras_cam.training.config import Augmentation, ConfigError, Stage, TrainingConfig

# These flags are parsed by their type. All others may be None, or one of a few words: they are Python
# literals or else strings, and `TrainingConfig` checks them.
_FLAG_TYPES = (int, float, bool, str)


def list_configs() -> list[str]:
    """The names of the configurations that come with the package.

    Examples:
        >>> "cub10" in list_configs()
        True
    """
    from keras_cam.training import configs

    return sorted(module.name for module in iter_modules(configs.__path__))


def load_config(source: str | Path, changes: Iterable[str] = ()) -> TrainingConfig:
    """Load a configuration and change some of its values.

    Args:
        source: one of `list_configs()`, or the path of a Python file with a function `get_config()`.
        changes: `FIELD=VALUE` each, as after `--config.` on the command line; `stages[0].epochs=5` changes
            the first stage.

    Raises:
        ConfigError: there is no such configuration or field, or a value is not valid.

    Examples:
        >>> config = load_config("cub10", ["batch_size=8", "stages[0].augmentation.flip=True"])
        >>> config.batch_size, config.stages[0].augmentation.flip
        (8, True)
    """
    argv = ["", f"--config={source}", *(f"--config.{change}" for change in changes)]
    flag_values = flags.FlagValues()
    define_config_flag(flag_values, argv)
    parse_flags(flag_values, argv)
    return config_of(flag_values)


DEFAULT_CONFIG = "transfer"
"""The configuration of a command that names none."""


def define_config_flag(flag_values: flags.FlagValues, argv: Sequence[str] | None = None) -> None:
    """Define the flags `--config=NAME|FILE.py` and `--config.FIELD=VALUE`.

    Args:
        flag_values: where they are defined.
        argv: the command line; None for that of the process.
    """
    config_flags.DEFINE_config_file(
        "config",
        None,
        "NAME|FILE.py: how to train: a configuration of the package, or a Python file with get_config(); "
        "--config.FIELD=VALUE changes a value, such as --config.stages[0].epochs=5",
        flag_values,
        sys_argv=argv,
    )
    flag_values["config"].parser = _ConfigParser()
    flag_values.set_default("config", DEFAULT_CONFIG)


def parse_flags(flag_values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Parse a command line; returns the arguments that are not flags.

    Raises:
        ConfigError: there is no such flag, configuration or field, or a value has the wrong type.
    """
    try:
        return flag_values(argv)[1:]
    except (AttributeError, LookupError) as error:
        fields = "; ".join(
            f"{kind.__name__}: {', '.join(field.name for field in dataclasses.fields(kind))}"
            for kind in (TrainingConfig, Stage, Augmentation)
        )
        changes = " ".join(argument for argument in argv if argument.startswith("--config."))
        raise ConfigError(
            "--config.FIELD must name a field of the configuration, such as batch_size, stages[0].epochs or "
            f"stages[0].augmentation.flip. {fields}. Received: {changes}"
        ) from error
    except (flags.Error, ValueError) as error:
        raise ConfigError(str(error)) from error


def config_of(flag_values: flags.FlagValues) -> TrainingConfig:
    """The configuration of parsed flags.

    Raises:
        ConfigError: a value is not valid.
    """
    values = flag_values.config
    return TrainingConfig(**{**values, "stages": tuple(map(_stage, values.stages))})


def _stage(values: Any) -> Stage:
    if not isinstance(values, ConfigDict):
        raise ConfigError(
            "`stages` can only be changed value by value, as by --config.stages[0].epochs=5. "
            f"Received: stages={values!r}"
        )
    return Stage(**{**values, "augmentation": Augmentation(**values.augmentation)})


class _ConfigParser(flags.ArgumentParser):
    """Parses the value of `--config`: a name of `list_configs()` or a file."""

    def parse(self, argument: str) -> ConfigDict:
        """The configuration, as what flags can change."""
        return _to_config_dict(_get_config(argument))


def _to_config_dict(config: Any) -> ConfigDict:
    """A dataclass as the `ConfigDict` that flags can change; fields keep the type of their annotation."""
    values: dict[str, Any] = {}
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            values[name] = _to_config_dict(value)
        elif name == "stages":
            values[name] = tuple(map(_to_config_dict, value))
        else:
            values[name] = FieldReference(value, field_type=kind if kind in _FLAG_TYPES else object)
    return ConfigDict(values)


def _get_config(source: str) -> TrainingConfig:
    if source in list_configs():
        found = vars(import_module(f"keras_cam.training.configs.{source}"))
    elif source.endswith(".py") and Path(source).is_file():
        found = run_path(source)
    else:
        raise ConfigError(
            f"`config` must be a Python file or one of {', '.join(list_configs())}. Received: {source}"
        )
    config = found["get_config"]() if "get_config" in found else None
    if not isinstance(config, TrainingConfig):
        raise ConfigError(
            f"{source} must have a function `get_config()` that returns a `TrainingConfig`. "
            f"Received: {config!r}"
        )
    return config
