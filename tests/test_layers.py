"""What every layer must do, and each one's own numbers against a reference someone else wrote."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_cam.layers import (
    ClassActivationHead,
    ClassSelection,
    DilatedPooling2D,
    MapDetections,
    PixelNormalization,
)


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def classifier(*layers: keras.layers.Layer, channels: int = 3) -> list[keras.layers.Layer]:
    shape = (None, channels)
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return list(layers)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClassActivationHead(classifier(keras.layers.Dense(4))),
        lambda: ClassActivationHead(classifier(keras.layers.BatchNormalization(), keras.layers.Dense(4))),
        lambda: ClassActivationHead([]),
        lambda: DilatedPooling2D((3, 3), 2, "average"),
        lambda: PixelNormalization((1.0, 2.0, 3.0), 2.0, "bgr"),
    ],
)
def test_layer_comes_back_from_its_config_and_from_a_file(make, tmp_path):
    inputs = keras.Input((6, 6, 3))
    layer = make()
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape[1:] == tuple(model(pixels(2, 6, 6, 3)).shape)[1:]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = pixels(2, 6, 6, 3)
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("tf", {"mean": 127.5, "scale": 127.5}),
        ("torch", {"mean": (123.675, 116.28, 103.53), "scale": (58.395, 57.12, 57.375)}),
        ("caffe", {"mean": (123.68, 116.779, 103.939), "channel_order": "bgr"}),
    ],
)
def test_normalization_is_that_of_keras_applications(mode, options):
    images = pixels(2, 4, 4, 3)
    expected = keras.applications.imagenet_utils.preprocess_input(images.copy(), mode=mode)
    np.testing.assert_allclose(PixelNormalization(**options)(images), expected, atol=1e-4)


def test_normalization_stays_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert PixelNormalization(127.0, 128.0)(pixels(1, 2, 2, 3)).dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


def test_normalization_refuses_another_channel_order():
    with pytest.raises(ValueError, match=r"`channel_order` must be .* Received: channel_order='grb'"):
        PixelNormalization(channel_order="grb")


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("window", [(3, 3), (1, 1), (3, 5)])
def test_dilated_max_pooling_is_tensorflows(padding, dilation, window):
    x = pixels(2, 12, 13, 3) - 200
    margins = [(size - 1) // 2 * dilation if padding == "same" else 0 for size in window]
    padded = np.pad(x, [(0, 0), *((m, m) for m in margins), (0, 0)], constant_values=-1000)
    expected = tf.nn.pool(padded, window, "MAX", padding="VALID", dilations=(dilation, dilation))
    pooled = DilatedPooling2D(window, dilation, "max", padding)(x)
    np.testing.assert_array_equal(pooled, expected)


def test_dilated_average_leaves_out_what_lies_beyond_the_border():
    x = pixels(1, 7, 7, 2)
    expected = keras.layers.AveragePooling2D(3, 1, "same")(x)
    np.testing.assert_allclose(DilatedPooling2D((3, 3), 1, "average")(x), expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r'`reduction` must be "max" or "average"\. Received'):
        DilatedPooling2D((3, 3), 1, "mean")


def test_head_folds_what_lies_between_pooling_and_logits():
    normalization, hidden, dense = (
        keras.layers.BatchNormalization(),
        keras.layers.Dense(5),
        keras.layers.Dense(4, use_bias=False),
    )
    layers = classifier(normalization, hidden, dense)
    generator = np.random.default_rng(0)
    for layer in layers:
        layer.set_weights([generator.uniform(0.5, 2.0, weight.shape) for weight in layer.weights])
    features = pixels(2, 3, 3, 3) / 255
    pooled = features.mean(axis=(1, 2))
    expected = dense(hidden(normalization(pooled)))
    head = ClassActivationHead(layers)
    np.testing.assert_allclose(head(features), expected, rtol=1e-5)
    kernel, bias = head.affine()
    np.testing.assert_allclose(ops.matmul(pooled, kernel) + bias, expected, rtol=1e-5)


def test_selection_orders_equal_logits_by_class():
    logits = np.array([[1.0, 2.0, 2.0, 0.0], [3.0, 3.0, 3.0, 3.0]], "float32")
    assert ops.convert_to_numpy(ClassSelection(top_k=3)(logits)).tolist() == [[1, 2, 0], [0, 1, 2]]
    assert ops.convert_to_numpy(ClassSelection(class_ids=[2])(logits)).tolist() == [[2], [2]]
    with pytest.raises(ValueError, match=r"Exactly one of `top_k` and `class_ids`.*Received: top_k=None"):
        ClassSelection()


def detect(maps: list, **options) -> dict[str, np.ndarray]:
    maps = np.array([maps], "float32")
    class_ids = np.array([[9, 4, 7][: maps.shape[1]]])
    probabilities = np.arange(10, dtype="float32")[None] / 10
    out = MapDetections(**options)(maps, class_ids, probabilities, np.zeros((1, 32, 32, 3)))
    return {name: ops.convert_to_numpy(value)[0] for name, value in out.items()}


def test_rows_with_a_box_come_first_unless_the_order_was_asked_for():
    maps = [[[-1.0, -2.0]], [[1.0, 1.0]], [[0.0, 1.0]]]
    out = detect(maps)
    assert out["detection_classes"].tolist() == [7, 9, 4]
    np.testing.assert_allclose(out["detection_scores"], [0.7, 0.9, 0.4])
    assert out["num_detections"] == 1
    assert out["class_activation_maps"].tolist() == [maps[2], maps[0], maps[1]]
    assert (out["detection_boxes"][1:] == 0).all()
    asked = detect(maps, boxes_first=False)
    assert asked["detection_classes"].tolist() == [9, 4, 7]
    assert asked["num_detections"] == 1
    assert asked["detection_boxes"].any(axis=1).tolist() == [False, False, True]


def test_every_component_gets_a_row_of_its_class():
    out = detect([[[1.0, 0.0, 0.0, 0.5]], [[0.0, 0.0, 0.0, 3.0]]], max_boxes=2)
    assert out["detection_classes"].tolist() == [9, 9, 4, 4]
    assert out["num_detections"] == 3
    left, right = out["detection_boxes"][:2]
    assert left[1] == 0
    assert right[3] == 1


def test_tight_and_loose_gives_the_papers_five_boxes():
    slope = [[float(x) for x in range(8)]]
    out = detect([slope, slope, slope], rule="tight_and_loose", threshold=0.2)
    assert out["detection_classes"].tolist() == [9, 9, 4, 4, 7]
    lefts = out["detection_boxes"][:, 1] * 8 - 0.5  # in nodes, where the slope meets the threshold
    level = np.array([100 / 255, 0.2, 100 / 255, 0.2, 0.2])
    np.testing.assert_allclose(lefts, 7 * level, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, r"`threshold` must be in \[0, 1\)\. Received: threshold=1.0"),
        ({"threshold": 1}, r"`threshold` must be in \[0, 1\)\. Received: threshold=1$"),
        ({"threshold": "0.2"}, r"`threshold` must be a number in \[0, 1\).* Received: threshold='0\.2'"),
        ({"threshold": [0.2, "a"]}, r"`threshold` must be a number in \[0, 1\), or several\."),
        ({"threshold": []}, r"`threshold` must be a number .* Received: threshold=\[\]"),
        ({"threshold": True}, r"`threshold` must be a number .* Received: threshold=True"),
        ({"max_boxes": 0}, r"`max_boxes` must be an integer of at least 1\. Received: max_boxes=0"),
        ({"max_boxes": "2"}, r"`max_boxes` must be an integer of at least 1\. Received: max_boxes='2'"),
        ({"rule": "loose"}, r"`rule` must be one of .*one_threshold.* Received: rule='loose'"),
    ],
)
def test_detections_refuse_what_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        MapDetections(**options)


def test_thresholds_may_be_numbers_of_numpy_and_are_saved_as_floats():
    assert MapDetections(threshold=np.float32(0.5)).get_config()["threshold"] == 0.5
    assert MapDetections(threshold=0).get_config()["threshold"] == 0.0
    assert MapDetections(threshold=np.array([0.25, 0.5])).get_config()["threshold"] == [0.25, 0.5]
