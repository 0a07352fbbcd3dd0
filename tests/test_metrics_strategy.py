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
    with strategy.scope():
        figures["localizer"] = localizer_figures()
    print(json.dumps(figures))


def localizer_figures():
    """Those of a localizer whose rows `model.evaluate` judges with several metrics."""
    import keras

    import keras_cam

    images = keras.Input((16, 16, 3))
    features = keras.layers.AveragePooling2D(2)(images)
    logits = keras.layers.Dense(3, use_bias=False)(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(images, logits)
    model.layers[-1].set_weights([np.eye(3, dtype="float32")])
    localizer = keras_cam.build_localizer(model, top_k="all", refine="none")
    names = ("ClassificationError", "LocalizationError", "GTKnownLocalization", "PointingGame", "MaxBoxAccV2")
    localizer.compile(metrics=[getattr(metrics, name)(name=name) for name in names])
    pixels = np.zeros((IMAGES, 16, 16, 3), "float32")
    for index, image in enumerate(pixels):
        image[4:, index : 8 + index, index % 3] = 1
    boxes = np.tile([0.25, 0.1, 1.0, 0.6], (IMAGES, 1, 1))
    boxes[::2, :, 1] = 0.5
    truth = {"classes": np.array([[0], [1], [0]] * 2), "boxes": boxes, "sizes_wh": np.full((IMAGES, 2), 200)}
    return localizer.evaluate(pixels, truth, batch_size=4, verbose=0, return_dict=True)


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


def test_a_mirrored_localizer_has_the_same_figures(on_two_devices):
    figures = localizer_figures()
    assert on_two_devices["localizer"] == pytest.approx(figures, abs=1e-6)
    assert len(set(figures.values())) > 2
    assert figures["ClassificationError"] == 0.0  # of five predictions, of three classes


if __name__ == "__main__":
    main()
