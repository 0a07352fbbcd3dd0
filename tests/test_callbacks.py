"""The callback tells during `fit` what `evaluate` tells afterwards."""

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from keras_cam.callbacks import LocalizationCallback
from keras_cam.data import AnnotatedImage, AnnotatedImages


@pytest.fixture
def validation(tmp_path):
    """A green square at a known place, and a photo without a box."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[8:24, 8:24, 1] = 255
    Image.fromarray(pixels).save(tmp_path / "green.png")
    box = np.array([[8, 8, 24, 24]], "float32")
    path = str(tmp_path / "green.png")
    images = (AnnotatedImage("0", path, 1, (1,), box, np.array([1])), AnnotatedImage("1", path, 1, (1,)))
    return AnnotatedImages("squares", ("red", "green", "blue"), images)


def fit(model, epochs, *callbacks):
    model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy())
    images, labels = np.zeros((4, 32, 32, 3), "float32"), np.array([0, 1, 2, 0])
    return model.fit(images, labels, epochs=epochs, callbacks=list(callbacks), verbose=0).history


def test_the_logs_are_the_figures_of_evaluate(validation, colour_classifier, tmp_path):
    model = keras.models.clone_model(colour_classifier)
    model.set_weights(colour_classifier.get_weights())
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{val_gt_known_accuracy:.2f}.weights.h5", monitor="val_gt_known_accuracy", mode="max"
    )
    history = fit(model, 2, LocalizationCallback(validation), checkpoint)
    figures = keras_cam.evaluate(model, validation).to_dict()
    for rate in ("gt_known_accuracy", "localization_top1_error", "pointing_game"):
        assert history[f"val_{rate}"] == [figures[rate]] * 2
    assert history["val_max_box_acc_v2"] == [figures["max_box_acc_v2"]["value"]] * 2
    assert figures["pointing_game"] == 1
    assert [file.name for file in tmp_path.glob("*.h5")] == [f"{figures['gt_known_accuracy']:.2f}.weights.h5"]


def test_it_measures_every_so_many_epochs(validation, colour_classifier):
    model = keras.models.clone_model(colour_classifier)
    assert len(fit(model, 5, LocalizationCallback(validation, every=2))["val_pointing_game"]) == 2
    with pytest.raises(ValueError, match=r"`every` must be at least 1\. Received: every=0"):
        LocalizationCallback(validation, every=0)


def test_images_without_boxes_add_nothing(validation, colour_classifier):
    history = fit(keras.models.clone_model(colour_classifier), 1, LocalizationCallback(validation[1:]))
    assert set(history) == {"loss"}
