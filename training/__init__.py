"""From images with labels to a classifier whose maps localize, on one machine or on many.

>>> from keras_cam.training import TrainingConfig, train
"""

from keras_cam.training.config import (
    Augmentation,
    ConfigError,
    Stage,
    TrainingConfig,
    list_configs,
    load_config,
)
from keras_cam.training.foreground import train_foreground
from keras_cam.training.run import TrainedModel, train
from keras_cam.training.stage import DivergedError
from keras_cam.training.strategies import STRATEGIES, WorkerLostError

__all__ = [
    "STRATEGIES",
    "Augmentation",
    "ConfigError",
    "DivergedError",
    "Stage",
    "TrainedModel",
    "TrainingConfig",
    "WorkerLostError",
    "list_configs",
    "load_config",
    "train",
    "train_foreground",
]
