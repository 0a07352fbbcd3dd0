"""The same run on several devices and by several processes: the same losses and the same weights."""

import csv
import json
import os
import socket
import time

import keras
import numpy as np
import pytest
from PIL import Image

from keras_cam.training import load_config, train
from keras_cam.training.checkpoints import Checkpoints
from keras_cam.training.strategies import STRATEGIES, make_strategy
from processes import KERAS_CAM, run_python, start_python

# One batch an epoch, so that the history has the loss of each of 20 steps.
CONFIG = """
from keras_cam.training import Augmentation, Stage, TrainingConfig

def get_config():
    return TrainingConfig(
        stages=(Stage(
            epochs=20, learning_rate=0.002, weight_decay=1e-4,
            augmentation=Augmentation(crop_scale=(0.5, 1), flip=True, color=0.2, hide=0.2),
        ),),
        model="alexnet_gap", head_filters=8, image_size=(67, 67), batch_size=8,
        train_split=None, validation_split=None,
    )
"""

MIRRORED = """
import sys
import tensorflow as tf
[device] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_cam.training import load_config, train
from keras_cam.training.strategies import make_strategy
assert make_strategy("mirrored").num_replicas_in_sync == 2
train(load_config(sys.argv[1]), sys.argv[2], sys.argv[3], "mirrored")
"""

ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_minloglevel": "2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    (folder / "config.py").write_text(CONFIG)
    rng = np.random.default_rng(0)
    for index in range(8):
        path = folder / "photos" / "ab"[index % 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (70, 80, 3), np.uint8)
        pixels[..., index % 2] //= 2
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def one_device(folder):
    config = load_config(folder / "config.py")
    return train(config, folder / "photos", folder / "one", "one_device", report=lambda line: None)


# Replicas add gradients in another order: the rounding of one sum moves a loss by 2e-5 a few steps later, on
# some processors. A step made twice, or not at all, moves it by 2e-3 or more.
ROUNDING = 1e-4


def assert_same_run(run, one_device):
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    for name in ("loss", "accuracy"):
        found = [float(row[name]) for row in rows]
        np.testing.assert_allclose(found, [row[name] for row in one_device.history], atol=ROUNDING)
    weights = keras.models.load_model(run / "model.keras").get_weights()
    for ours, theirs in zip(weights, one_device.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=ROUNDING)


def test_two_devices_of_one_process_make_the_same_steps(folder, one_device):
    arguments = [folder / "config.py", folder / "photos", folder / "two"]
    done = run_python("-c", MIRRORED, *arguments, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert_same_run(folder / "two", one_device)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_workers_make_the_same_steps_and_a_killed_one_comes_back(folder, one_device):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    output = folder / "workers"

    def start(index):
        task = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        arguments = ["--config", folder / "config.py", "--data", folder / "photos", "--output", output]
        return start_python(*KERAS_CAM, "train", *arguments, env={**ENVIRONMENT, "TF_CONFIG": task})

    workers = [start(0), start(1)]
    while not Checkpoints(output / "checkpoints").paths():
        assert workers[0].poll() is None, workers[0].communicate()
        time.sleep(0.02)
    workers[1].kill()
    workers[1].communicate()
    workers[1] = start(1)
    (chief_out, chief_err), (other_out, other_err) = (worker.communicate() for worker in workers)
    assert [worker.returncode for worker in workers] == [0, 0], (chief_err, other_err)
    assert "Another worker has stopped" in chief_err
    assert "Going on from" in chief_out
    assert other_out == ""  # only the chief speaks, and writes
    assert len(list((output / "tensorboard").glob("events*"))) <= 2
    assert_same_run(output, one_device)


def test_strategies_by_name(monkeypatch):
    assert make_strategy("one_device").num_replicas_in_sync == 1
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    assert make_strategy("auto").num_replicas_in_sync == 1
    with pytest.raises(ValueError, match="needs the environment variable TF_CONFIG"):
        make_strategy("multi_worker")
    with pytest.raises(ValueError, match=r"`strategy` must be one of .*'tpu'.*Received: strategy='gpu'"):
        make_strategy("gpu")
    assert set(STRATEGIES) == {"auto", "one_device", "mirrored", "multi_worker", "tpu"}


def test_slurm_tasks_are_workers(monkeypatch):
    from keras_cam.training.strategies import _worker_resolver

    monkeypatch.delenv("TF_CONFIG", raising=False)
    slurm = {
        "STEP_NUM_TASKS": "3",
        "PROCID": "2",
        "STEP_NODELIST": "node[1-3]",
        "STEP_TASKS_PER_NODE": "1(x3)",
    }
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    resolver = _worker_resolver()
    assert resolver.cluster_spec().as_dict() == {"worker": ["node1:8888", "node2:8888", "node3:8888"]}
    assert (resolver.task_type, resolver.task_id) == ("worker", 2)
