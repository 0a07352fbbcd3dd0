"""What configurations take, and what they say about everything else."""

import dataclasses
import re
from importlib import import_module

import pytest

from keras_cam.models.registry import MODELS
from keras_cam.training import Augmentation, ConfigError, Stage, TrainingConfig, list_configs, load_config
from processes import run_python

STAGE = Stage(epochs=1, learning_rate=0.1)


@pytest.mark.parametrize("name", list_configs())
def test_every_ready_configuration_names_its_command_and_a_model_that_exists(name):
    config = load_config(name)
    module = import_module(f"keras_cam.training.configs.{name}")
    assert re.search(f"keras-cam train \\S+ --config {name}\n", module.__doc__)
    if ":" in config.model:
        return
    options = ("pooling", "dropout", "head_filters", "head_groups", "output_stride")
    given = {option for option in options if getattr(config, option) is not None}
    assert given <= set(MODELS[config.model].options)


def test_a_file_is_a_configuration_too(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from keras_cam.training import Stage, TrainingConfig\n"
        "def get_config():\n    return TrainingConfig((Stage(3, 0.1),), batch_size=5)\n"
    )
    assert load_config(file).batch_size == 5
    file.write_text("x = 1\n")
    with pytest.raises(ConfigError, match=r"must have a function `get_config\(\)`"):
        load_config(file)


def test_changes_reach_into_stages_and_keep_their_types():
    changes = [
        "stages[0].epochs=7",
        "stages[0].learning_rate=1",
        "stages[1].augmentation.crop_scale=(0.2, 1)",
        "model=vgg16_gap",
        "backbone_weights=None",
    ]
    config = load_config("cub10", [*changes, "non_negative_head=false", "image_size=(96, 128)"])
    assert config.stages[0].epochs == 7
    assert isinstance(config.stages[0].learning_rate, float)
    assert config.stages[1] == dataclasses.replace(
        load_config("cub10").stages[1], augmentation=Augmentation(crop_scale=(0.2, 1), flip=True)
    )
    assert (config.model, config.backbone_weights, config.non_negative_head) == ("vgg16_gap", None, False)
    assert config.image_size == (96, 128)


@pytest.mark.parametrize("name", list_configs())
def test_a_configuration_without_changes_is_what_its_file_returns(name):
    assert load_config(name) == import_module(f"keras_cam.training.configs.{name}").get_config()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batchsize=3", r"must name a field.*TrainingConfig: stages, model, .*--config\.batchsize=3"),
        ("stages[9].epochs=3", r"such as .*stages\[0\]\.epochs.*Received: --config\.stages\[9\]\.epochs=3"),
        ("stages[0].augmentation.rotate=1", r"Augmentation: crop_scale, .*rotate=1"),
        ("stages.0.epochs=3", r"Could not parse 'stages\.0\.epochs'"),
        ("batch_size=many", r"flag --config\.batch_size=many: invalid literal for int"),
        ("batch_size=True", r"flag --config\.batch_size=True: invalid literal for int"),
        ("batch_size=0", r"`batch_size` must be at least 1\. Received: batch_size=0"),
        ("batch_size", r"Missing value for flag --config\.batch_size"),
        ("select=boxes", r"`select` must be one of \['last', 'accuracy', 'gt_known'\]"),
        ("image_size=224", r"`image_size` must be a tuple of 2 values, each an integer, or None"),
        ("classes=ten", r"`classes` must be an integer or None\. Received: classes='ten'"),
        ("stages[0].learning_rate=-1", r"`learning_rate` must be positive"),
        (
            "stages[0].optimizer=adam",
            r"`optimizer` must be one of \['sgd', 'adamw'\]\. Received: optimizer='adam'",
        ),
        ("stages[0].warmup_epochs=1000", r"`warmup_epochs` must be at most `epochs`"),
        (
            "stages[0].augmentation.crop_scale=(0.5, 0.2)",
            r"`crop_scale` must be an ascending pair in \(0, 1\]",
        ),
        ("stages=()", r"`stages` must be at least one `Stage`"),
        ("stages=3", r"`stages` can only be changed value by value.*Received: stages=3"),
        (
            "model=resnet9000",
            r"`model` must be \"module:function\" or one of .*'resnet50'.*Received: model='resnet9000'",
        ),
    ],
)
def test_a_wrong_field_or_value_is_refused_with_the_options(change, message):
    with pytest.raises(ConfigError, match=message):
        load_config("cub10", [change])


def test_python_checks_the_types_that_flags_check():
    with pytest.raises(ConfigError, match=r"`batch_size` must be an integer\. Received: batch_size='8'"):
        TrainingConfig((STAGE,), batch_size="8")
    with pytest.raises(ConfigError, match=r"`epochs` must be an integer\. Received: epochs=True"):
        Stage(True, 0.1)
    with pytest.raises(ConfigError, match=r"`stages` must be a tuple of values, each a `Stage`"):
        TrainingConfig([STAGE])


def test_configurations_need_no_tensorflow():
    code = "import sys; from keras_cam.training import load_config; load_config('cub10', ['seed=1'])\n"
    code += "print({'keras', 'tensorflow'} & set(sys.modules))"
    done = run_python("-c", code)
    assert (done.returncode, done.stdout) == (0, "set()\n")


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ConfigError, match="Only one of `mixup` and `cutmix`"):
        Augmentation(mixup=0.2, cutmix=0.5)
    with pytest.raises(ConfigError, match=r'`select` must be "last" without a `validation_split`'):
        TrainingConfig((STAGE,), validation_split=None, select="accuracy")
    with pytest.raises(ConfigError, match="`class_weights` must be None if `multi_label`"):
        TrainingConfig((STAGE,), multi_label=True, class_weights="balanced")
    with pytest.raises(
        ConfigError, match=r"`config` must be a Python file or one of .*cub10.*Received: nothing"
    ):
        load_config("nothing")


def test_configurations_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        STAGE.epochs = 2
