"""A SavedModel gives what the localizer gives, whatever it is asked."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cam
from keras_cam.export import next_version, save_litert, save_mediapipe, save_onnx, save_saved_model

CLASSES = 6


def assert_same(outputs, expected, atol=1e-4):
    assert set(outputs) == set(expected)
    for name, values in expected.items():
        assert outputs[name].dtype == values.dtype
        np.testing.assert_allclose(outputs[name], values, rtol=1e-4, atol=atol, err_msg=name)


@pytest.fixture(scope="module")
def model(randomize):
    return randomize(keras_cam.build_model("mobilenet_v2", classes=CLASSES, input_shape=(64, 64, 3)))


@pytest.fixture(scope="module")
def localizer(model):
    return keras_cam.build_localizer(model, top_k=3)


@pytest.fixture(scope="module")
def saved(localizer, tmp_path_factory):
    return save_saved_model(localizer, tmp_path_factory.mktemp("models") / "cam" / "1", list("abcdef"))


@pytest.fixture(scope="module")
def signatures(saved):
    return tf.saved_model.load(saved).signatures


def test_the_signatures_have_the_names_and_types_of_the_contract(signatures):
    assert set(signatures) == {"serving_default", "localize", "localize_bytes", "classify", "cam"}
    localized = {
        "detection_boxes": ((None, 3, 4), tf.float32),
        "detection_classes": ((None, 3), tf.int32),
        "detection_scores": ((None, 3), tf.float32),
        "num_detections": ((None,), tf.int32),
        "class_activation_maps": ((None, 3, 2, 2), tf.float32),
        "localization_maps": ((None, 3, 4, 4), tf.float32),
    }
    images, encoded = ((None, 64, 64, 3), tf.float32), ((None,), tf.string)
    expected = {
        "serving_default": ({"images": images}, localized),
        "localize": ({"images": images}, localized),
        "localize_bytes": ({"image_bytes": encoded}, localized),
        "classify": (
            {"images": images},
            dict.fromkeys(("logits", "probabilities"), ((None, CLASSES), tf.float32)),
        ),
        "cam": (
            {"images": images, "class_ids": ((None, None), tf.int32)},
            {
                "class_activation_maps": ((None, None, 2, 2), tf.float32),
                "localization_maps": ((None, None, 4, 4), tf.float32),
                "detection_boxes": ((None, None, 4), tf.float32),
                "logits": ((None, CLASSES), tf.float32),
            },
        ),
    }
    for name, signature in signatures.items():
        (_, inputs), outputs = signature.structured_input_signature, signature.structured_outputs
        described = tuple(
            {key: (tuple(spec.shape), spec.dtype) for key, spec in specs.items()}
            for specs in (inputs, outputs)
        )
        assert described == expected[name], name


@pytest.mark.parametrize("batch", [1, 5])
def test_every_signature_gives_what_the_localizer_gives(signatures, model, localizer, photos, batch):
    images = photos(batch, 64, 64)
    expected = localizer(images)
    assert_same(signatures["localize"](images=images), expected)
    assert_same(signatures["serving_default"](images=images), expected)
    encoded = [tf.io.encode_png(image.astype("uint8")).numpy() for image in images]
    assert_same(signatures["localize_bytes"](image_bytes=tf.constant(encoded)), expected)

    everything = keras_cam.build_localizer(model, class_ids=range(CLASSES))(images)
    classified = signatures["classify"](images=images)
    np.testing.assert_allclose(np.sum(classified["probabilities"], axis=1), np.ones(batch), atol=1e-5)
    np.testing.assert_allclose(classified["probabilities"], everything["detection_scores"], atol=1e-4)
    np.testing.assert_allclose(tf.nn.softmax(classified["logits"]), classified["probabilities"], atol=1e-5)
    asked = np.array([[4, 0]] * batch, np.int32)
    found = signatures["cam"](images=images, class_ids=asked)
    np.testing.assert_allclose(found.pop("logits"), classified["logits"], atol=1e-5)
    assert set(found) == {"class_activation_maps", "localization_maps", "detection_boxes"}
    for name, values in found.items():
        # Stretching refined maps to [0, 1] enlarges rounding errors.
        atol = 1e-4 if name == "class_activation_maps" else 1e-3
        np.testing.assert_allclose(values, everything[name].numpy()[:, [4, 0]], atol=atol, err_msg=name)


def test_labels_are_an_asset(saved):
    assert (saved / "assets" / "labels.txt").read_text() == "a\nb\nc\nd\ne\nf\n"


def test_versions_are_never_overwritten(saved, localizer):
    before = {file: file.read_bytes() for file in saved.rglob("*") if file.is_file()}
    with pytest.raises(
        FileExistsError, match=r"`path` must be a new version.* the next one is .*/2\. Received: "
    ):
        save_saved_model(localizer, saved)
    assert {file: file.read_bytes() for file in saved.rglob("*") if file.is_file()} == before
    assert next_version(saved.parent).name == "2"


def test_a_broken_image_disturbs_no_other_of_its_batch(signatures, photos):
    images = photos(2, 64, 64)
    first, last = (tf.io.encode_png(image.astype("uint8")).numpy() for image in images)
    whole = signatures["localize_bytes"](image_bytes=tf.constant([first, last]))
    mixed = signatures["localize_bytes"](image_bytes=tf.constant([first, b"no photo", b"", last, last[:90]]))
    assert set(mixed) == set(whole)
    for name, values in mixed.items():
        # Not equal to the last digit: some processors add in another order for another size of batch.
        np.testing.assert_allclose(np.asarray(values)[[0, 3]], whole[name], rtol=0, atol=1e-4, err_msg=name)
        assert not np.any(np.asarray(values)[[1, 2, 4]]), name


def test_a_failed_export_leaves_nothing(localizer, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys.modules["keras_cam.export.saved_model"], "write_warm_up", fail)
    with pytest.raises(OSError, match="No space left"):
        save_saved_model(localizer, tmp_path / "cam" / "1")
    assert list((tmp_path / "cam").iterdir()) == []


@pytest.mark.parametrize(
    ("save", "name"),
    [(save_saved_model, "1"), (save_litert, "x.tflite"), (save_mediapipe, "x.tflite"), (save_onnx, "x.onnx")],
)
def test_what_is_no_localizer_is_refused(save, name, model, tmp_path):
    unbuilt = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    for one in (model, unbuilt):
        with pytest.raises(ValueError, match=r"`localizer` must be a model from `keras_cam.build_localizer`"):
            save(one, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
