"""Every metric gives the same on two devices as on one. Run as a program, this file does the work on two."""

import json

import numpy as np
import pytest

from keras_cam import metrics
from processes import run_python

IMAGES = 6


def cases():
    """For each metric its arguments, `y_true` and `y_pred`."""
    rng = np.random.default_rng(0)
    boxes = np.array([[[1, 1, 5, 6], [0, 0, 0, 0]]] * IMAGES, "float32")
    corners = [rng.integers(0, 3, (IMAGES, 2, 2)), rng.integers(4, 8, (IMAGES, 2, 2))]
    found = np.concatenate([rng.integers(0, 3, (IMAGES, 2, 1)), *corners], axis=2).astype("float32")
    truth = np.concatenate([rng.integers(0, 3, (IMAGES, 2, 1)), boxes], axis=2).astype("float32")
    maps = rng.random((IMAGES, 8, 8)).astype("float32")
    before, after = rng.random((2, IMAGES)).astype("float32")
    curves, labels = rng.random((IMAGES, 5, 3)).astype("float32"), rng.integers(0, 3, IMAGES)
    known = (boxes, found[:, 0, 1:])
    half_of_them_large = boxes.copy()
    half_of_them_large[::2, 0] = [0, 0, 16, 16]
    return {
        "LocalizationError": ({"top_k": 2}, truth, found),
        "ClassificationError": ({"top_k": 1}, truth, found),
        "GTKnownLocalization": ({"iou_threshold": 0.6}, *known),
        "MeanBoxIoU": ({}, *known),
        "PointingGame": ({"image_size": (8, 8), "tolerance": 1}, boxes, maps),
        "MaxBoxAcc": ({"map_size": (16, 16)}, half_of_them_large, maps),
        "MaxBoxAccV2": ({"map_size": (16, 16)}, half_of_them_large, maps),
        "PxAP": ({"map_size": (8, 8)}, (maps > 0.4).astype("int32"), maps[::-1]),
        "AverageDrop": ({}, before, after),
        "AverageGain": ({}, before, after),
        "IncreaseInConfidence": ({}, before, after),
        "DeletionAUC": ({}, labels, curves),
        "InsertionAUC": ({}, labels, curves),
        "ROAD": ({"fractions": (0.1, 0.2, 0.3, 0.4, 0.5)}, labels, curves),
    }


def main():
    import keras
    import tensorflow as tf

    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    figures = {}
    for name, (arguments, y_true, y_pred) in cases().items():
        with strategy.scope():
            model = keras.Sequential([keras.Input(y_pred.shape[1:]), keras.layers.Identity()])
            metric = getattr(metrics, name)(**arguments, name=name)
            model.compile(loss=lambda _, y: keras.ops.zeros_like(y), metrics=[metric])
        figures |= model.evaluate(y_pred, y_true, batch_size=4, verbose=0, return_dict=True)
    print(json.dumps(figures))


@pytest.fixture(scope="module")
def on_two_devices():
    done = run_python(__file__)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_no_metric_is_left_out():
    assert set(cases()) == {name for name in metrics.__all__ if isinstance(getattr(metrics, name), type)}


@pytest.mark.parametrize("name", cases())
def test_a_mirrored_strategy_counts_every_image_once(on_two_devices, name):
    arguments, y_true, y_pred = cases()[name]
    metric = getattr(metrics, name)(**arguments)
    metric.update_state(y_true, y_pred)
    assert 0 < float(metric.result()) < 1, "nothing to tell apart"
    assert on_two_devices[name] == pytest.approx(float(metric.result()), abs=1e-6)


if __name__ == "__main__":
    main()
