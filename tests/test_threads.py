"""Sixteen threads that share a localizer get what one thread gets."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

import keras_cam
from keras_cam import load_localizer
from keras_cam.export import save_litert, save_onnx, save_saved_model

THREADS, ROUNDS, ROUNDS_OF_SWEEP = 16, 8, 50


@pytest.fixture(scope="module")
def models(colour_classifier, tmp_path_factory):
    """What opens the same localizer anew, by the name of its runtime."""
    folder = tmp_path_factory.mktemp("models")
    localizer = keras_cam.build_localizer(colour_classifier)
    files = {
        "litert": save_litert(localizer, folder / "colours.tflite"),
        "onnx": save_onnx(localizer, folder / "colours.onnx"),
        "saved_model": save_saved_model(localizer, folder / "colours" / "1"),
    }
    return {"keras": localizer, **files}


def answers(localizer, images):
    """What all methods return for a batch."""
    found = localizer.classify_and_cam(images, [[2]] * len(images), 2)
    return {**localizer.localize(images), **found, "classified": localizer.classify(images)}


@pytest.mark.parametrize("name", ["litert", "saved_model"])
def test_the_chosen_and_the_best_classes_take_one_pass(models, photos, name, monkeypatch):
    images = photos(2, 32, 32)
    expected = load_localizer(models["keras"]).classify_and_cam(images, [[2], [0]], 2)
    localizer = load_localizer(models[name])
    monkeypatch.setattr(type(localizer), "classify", None)  # which would be a pass of its own
    found = localizer.classify_and_cam(images, [[2], [0]], 2)
    assert set(found) == set(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, atol=1e-4, err_msg=key)
    monkeypatch.undo()
    localizer.takes_ranks = False  # as an older file
    two_passes = localizer.classify_and_cam(images, [[2], [0]], 2)
    np.testing.assert_array_equal(two_passes["predicted"], found["predicted"])


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(ROUNDS_OF_SWEEP, marks=pytest.mark.sweep)])
@pytest.mark.parametrize("name", ["keras", "litert", "onnx", "saved_model"])
def test_threads_get_what_one_thread_gets(models, photos, name, rounds, report_count):
    batches = [photos(1 + index % 3, 32, 32, seed=index) for index in range(THREADS)]
    expected = [answers(load_localizer(models[name]), images) for images in batches]
    shared, together = load_localizer(models[name]), Barrier(THREADS)

    def work(index):
        together.wait(timeout=60)  # so that the first calls, which compile, meet
        return [answers(shared, batches[index]) for _ in range(rounds)]

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(work, range(THREADS)))
    for index, answered in enumerate(found):
        for answer in answered:
            for key, values in expected[index].items():
                np.testing.assert_array_equal(answer[key], values, err_msg=key)
    if rounds == ROUNDS_OF_SWEEP:
        report_count(
            f"rounds of calls by {THREADS} threads on {name}, with one thread's answers", THREADS * rounds
        )
