"""A LiteRT file gives what the localizer gives, holds its weights once, and says what it is."""

import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

import keras_cam
from keras_cam import load_localizer
from keras_cam.export import save_litert
from keras_cam.export.representative_images import representative_images
from keras_cam.formats import CALIBRATED, QUANTIZATIONS
from keras_cam.inference.litert import LiteRTLocalizer

CLASSES = 6
SIZE_HW = (48, 64)


def convolutional_network(size_hw=SIZE_HW):
    """What most networks for phones are made of, with a classifier of two layers."""
    images = keras.Input((*size_hw, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(images)
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
    x = keras.layers.Conv2D(24, 1, activation="relu")(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(images, keras.layers.Dense(CLASSES, activation="softmax")(x))


MAPS_AND_BOXES = {"class_activation_maps", "detection_boxes", "localization_maps"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("litert")


@pytest.fixture(scope="module")
def model(randomize):
    return randomize(convolutional_network())


@pytest.fixture(scope="module")
def localizer(model):
    return keras_cam.build_localizer(model, top_k=3)


@pytest.fixture(scope="module")
def file(localizer, folder):
    return save_litert(localizer, folder / "cam.tflite", list("abcdef"))


def assert_gives_the_same(file, model, localizer, images):
    """All signatures of a file against the Keras model."""
    lite = LiteRTLocalizer(file, threads=1)
    expected, outputs = localizer(images), lite.localize(images)
    assert set(outputs) == set(expected)
    for name, values in expected.items():
        assert outputs[name].dtype == values.dtype
        np.testing.assert_allclose(outputs[name], values, rtol=1e-3, atol=1e-3, err_msg=name)
    everything = keras_cam.build_localizer(model, class_ids=range(lite.classes))(images)
    logits, scores = lite.classify(images), np.asarray(everything["detection_scores"])
    np.testing.assert_allclose(keras.ops.softmax(logits), scores, atol=1e-3)
    asked = np.array([[lite.classes - 1, 0, 1, 0]] * len(images))
    found = lite.cam(images, asked)
    np.testing.assert_allclose(found.pop("logits"), logits, rtol=1e-4, atol=1e-4)
    assert set(found) == expected.keys() & MAPS_AND_BOXES
    for name, values in found.items():
        wanted = np.asarray(everything[name])[:, asked[0]]
        np.testing.assert_allclose(values, wanted, rtol=1e-3, atol=1e-3, err_msg=name)


def test_every_signature_gives_what_the_localizer_gives(file, model, localizer, photos):
    assert_gives_the_same(file, model, localizer, photos(3, *SIZE_HW))


def test_a_file_for_several_images_at_once(folder, model, localizer, photos):
    file = save_litert(localizer, folder / "new" / "batches.tflite", batch_size=2)
    assert_gives_the_same(file, model, localizer, photos(3, *SIZE_HW))


@pytest.mark.parametrize("name", ["alexnet_gap", "efficientnet_lite0"])
def test_networks_by_name(name, folder, randomize, photos):
    model = randomize(keras_cam.build_model(name, classes=CLASSES, input_shape=(96, 96, 3)))
    localizer = keras_cam.build_localizer(model, top_k=2, components="all", max_boxes=2)
    file = save_litert(localizer, folder / f"{name}.tflite")
    assert_gives_the_same(file, model, localizer, photos(2, 96, 96))


def test_a_classifier_without_weights_of_its_own(folder, randomize, photos):
    images = keras.Input((None, None, 3))
    channels = keras.layers.Conv2D(CLASSES, 3, strides=4, activation="relu")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(channels)
    model = randomize(keras.Model(images, keras.layers.Softmax()(pooled)))
    localizer = keras_cam.build_localizer(model, top_k=2)
    file = save_litert(localizer, folder / "channels.tflite", image_size=(32, 40))
    assert_gives_the_same(file, model, localizer, photos(2, 32, 40))


@pytest.mark.parametrize(("quantization", "size"), [(None, 4), ("float16", 2), ("int8", 1)])
def test_the_weights_are_in_the_file_once(quantization, size, folder, photos):
    images = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(1024, 8, strides=8)(images)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(images, keras.layers.Dense(1000)(pooled))
    file = save_litert(
        keras_cam.build_localizer(model),
        folder / f"{quantization}.tflite",
        quantization=quantization,
        representative_data=photos(4, 32, 32),
    )
    assert file.stat().st_size == pytest.approx(size * model.count_params(), rel=0.15)


def test_the_signatures_have_the_names_of_the_contract(file):
    interpreter = Interpreter(str(file))
    outputs = ["detection_boxes", "detection_classes", "detection_scores", "num_detections"]
    localized = sorted([*outputs, "class_activation_maps", "localization_maps"])
    assert interpreter.get_signature_list() == {
        "localize": {"inputs": ["images"], "outputs": localized},
        "classify": {"inputs": ["images"], "outputs": ["logits", "probabilities"]},
        "cam": {"inputs": ["class_ids", "images"], "outputs": sorted({*MAPS_AND_BOXES, "logits"})},
    }
    # Who asks for no signature gets the first one, in this order.
    details = interpreter.get_output_details()
    shapes = [(1, 3, 4), (1, 3), (1, 3), (1,), (1, 3, 12, 16), (1, 3, 12, 16)]
    assert [tuple(detail["shape"]) for detail in details] == shapes
    kinds = [np.float32, np.int32, np.float32, np.int32, np.float32, np.float32]
    assert [detail["dtype"] for detail in details] == kinds


def test_the_labels_are_in_the_file(file):
    with zipfile.ZipFile(file) as archive:
        assert archive.read("labels.txt") == b"a\nb\nc\nd\ne\nf\n"
    assert LiteRTLocalizer(file).labels == tuple("abcdef")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "cam.lite"}, ValueError, r"`path` must end in \.tflite\. Received: path='.*cam\.lite'"),
        (
            {"quantization": "int4"},
            ValueError,
            r"`quantization` must be None or one of \['float16', .*\]\. Received: quantization='int4'",
        ),
        (
            {"quantization": "int8"},
            ValueError,
            r"`representative_data` must be .* Received: no image in None",
        ),
        (
            {"quantization": "int8", "representative_data": np.zeros((2, 9, 9, 3))},
            ValueError,
            r"images of shape \(48, 64, 3\) .* Received: images of shape \(9, 9, 3\)",
        ),
        ({"batch_size": 0}, ValueError, r"`batch_size` must be at least 1\. Received: batch_size=0"),
        ({"labels": ["a"]}, ValueError, r"`labels` must name the 6 classes .* Received: 1 names"),
        ({"image_size": (9, 9)}, ValueError, r"localizer takes \(48, 64\)\. Received: image_size=\(9, 9\)"),
    ],
)
def test_bad_arguments_are_told_and_leave_nothing(arguments, error, message, file, localizer, folder):
    before = sorted(folder.iterdir())
    arguments = {"path": "new.tflite", **arguments}
    with pytest.raises(error, match=message):
        save_litert(localizer, folder / arguments.pop("path"), **arguments)
    assert sorted(folder.iterdir()) == before


def test_representative_data_comes_in_many_forms(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3)).astype("uint8")
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    dataset = tf.data.Dataset.from_tensor_slices((pixels, np.arange(6)))
    forms = [pixels, list(pixels), dataset, dataset.batch(4), [{"images": pixels}], tmp_path, [str(tmp_path)]]
    for form in forms:
        images = representative_images(form, (8, 10))
        assert images.dtype == np.float32
        np.testing.assert_allclose(images, pixels, atol=1e-3)


def test_a_classifier_is_refused(model, folder):
    with pytest.raises(ValueError, match=r"`localizer` must be a model from `keras_cam\.build_localizer`"):
        save_litert(model, folder / "new.tflite")


@pytest.fixture(scope="module")
def images(photos):
    return photos(40, *SIZE_HW)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_quantized_files_nearly_give_the_same(quantization, folder, model, localizer, images):
    data = images[:20] if quantization in CALIBRATED else None
    path = folder / f"{quantization}.tflite"
    lite = LiteRTLocalizer(
        save_litert(localizer, path, quantization=quantization, representative_data=data), threads=1
    )
    expected, outputs = localizer(images[20:]), lite.localize(images[20:])
    best, found = expected["detection_classes"][:, 0], outputs["detection_classes"][:, 0]
    assert np.mean(best == found) >= 0.9
    maps = np.asarray(expected["class_activation_maps"])
    asked = np.asarray(expected["detection_classes"])
    found = lite.cam(images[20:], asked)["class_activation_maps"]
    error = np.abs(found - maps).mean() / np.abs(maps).mean()
    assert 1e-5 < error < (1e-3 if quantization == "float16" else 0.05)
    [details] = Interpreter(str(path)).get_input_details()
    if quantization == "int8_full":
        assert (details["dtype"], details["quantization"]) == (np.uint8, (1.0, 0))  # bytes as they are
    else:
        assert details["dtype"] == np.float32
    # All signatures are quantized alike.
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(lite.classify(images[20:])))
    chosen = np.take_along_axis(probabilities, outputs["detection_classes"], axis=1)
    np.testing.assert_allclose(chosen, outputs["detection_scores"], atol=1e-5)


def test_mixed_precision_is_refused_with_the_way_out(tmp_path, photos):
    def classifier(policy):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        images = keras.Input((32, 32, 3))
        features = keras.layers.Conv2D(4, 3, strides=4)(keras.layers.Rescaling(1 / 255)(images))
        pooled = keras.layers.GlobalAveragePooling2D()(features)
        return keras.Model(images, keras.layers.Dense(3, dtype="float32")(pooled))

    mixed = classifier("mixed_float16")
    with pytest.raises(
        ValueError, match=r"^LiteRT cannot compute in 16 bits\. [^\n]* precision, such as '.*'$"
    ):
        save_litert(keras_cam.build_localizer(mixed), tmp_path / "mixed.tflite")
    whole = classifier("float32")
    whole.set_weights(mixed.get_weights())
    lite = load_localizer(save_litert(keras_cam.build_localizer(whole), tmp_path / "whole.tflite"))
    images = photos(1, 32, 32)
    np.testing.assert_allclose(lite.classify(images), mixed(images), atol=1e-2)
