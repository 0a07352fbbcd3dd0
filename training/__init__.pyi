from .config import Augmentation, ConfigError, Stage, TrainingConfig
from .config_files import list_configs, load_config
from .foreground import train_foreground
from .run import StoppedError, TrainedModel, train
from .stage import DivergedError
from .strategies import STRATEGIES, WorkerLostError

__all__ = [
    "STRATEGIES",
    "Augmentation",
    "ConfigError",
    "DivergedError",
    "Stage",
    "StoppedError",
    "TrainedModel",
    "TrainingConfig",
    "WorkerLostError",
    "list_configs",
    "load_config",
    "train",
    "train_foreground",
]
