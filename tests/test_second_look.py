"""The second look: windows, crops and pastes by hand; in the graph, in photos, and in exported files."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_cam
from keras_cam import evaluate, load_localizer, localize
from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.export import save_litert, save_onnx
from keras_cam.export.decode_images import decode_images
from keras_cam.export.signatures import build_signatures
from keras_cam.graph.foreground import build_foreground
from keras_cam.images.resize import resize
from keras_cam.inference import KerasLocalizer
from keras_cam.layers import SecondLookMaps, SecondLookWindows
from keras_cam.ops.windows import crop_and_resize, paste


@pytest.fixture
def network(randomize):
    halving = [keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu") for _ in range(4)]
    pooled = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)]
    return randomize(keras.Sequential([keras.Input((48, 64, 3)), *halving, *pooled]))


@pytest.fixture
def photo():
    """Larger than the input of the network, with detail that is lost there."""
    pixels = np.zeros((300, 400, 3), "uint8")
    pixels[60:150, 200:320] = np.random.default_rng(0).integers(0, 255, (90, 120, 3))
    return pixels


def test_crops_are_those_of_tensorflow_and_go_back_where_they_were_cut(photos):
    images = photos(2, 40, 60)
    windows = np.array([[[0.25, 0.5, 0.75, 1.0]], [[0.0, 0.0, 0.5, 0.5]]], "float32")
    crops = crop_and_resize(images, windows, (40, 60))
    expected = tf.image.resize(images[:1, 10:30, 30:60], (40, 60))
    # At the borders of the window, the crop continues into the image.
    np.testing.assert_allclose(crops[0, 1:-1, 1:-1], expected[0, 1:-1, 1:-1], atol=1e-2)
    maps = np.transpose(images[:, :, :, 0], (0, 1, 2)).astype("float32")
    pasted, inside = paste(maps, windows[:, 0], (80, 120))
    assert np.sum(inside, axis=(1, 2)).tolist() == [40 * 60, 40 * 60]
    np.testing.assert_allclose(pasted[0, 20:60, 60:120], maps[0], atol=1e-3)
    assert np.max(np.abs(pasted * (1 - inside))) == 0


def test_a_classifier_of_images_and_numbers_looks_again_at_no_more_classes_than_there_are(randomize):
    images, age = keras.Input((48, 64, 3)), keras.Input((1,), name="age")
    x = images
    for _ in range(4):
        x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(x), age])
    model = randomize(keras.Model([images, age], keras.layers.Dense(4)(x)))
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 48, 64, 3)).astype("float32")
    once, thrice = (
        keras_cam.build_localizer(model, top_k=1, refine="look_again", look_again_k=looks)(
            {"images": pixels, "age": np.array([[0.5], [2.0]], "float32")}
        )
        for looks in (1, 3)
    )
    np.testing.assert_allclose(once["localization_maps"], thrice["localization_maps"], atol=1e-6)


def test_a_map_without_a_box_is_seen_again_as_a_whole():
    windows = SecondLookWindows(looks=3)(np.zeros((1, 2, 5, 5), "float32"))
    np.testing.assert_array_equal(windows, [[[0, 0, 1, 1]] * 2])


def test_inside_a_window_both_looks_count_alike():
    first, second = np.full((1, 2, 2, 2), 0.2, "float32"), np.full((1, 1, 2, 2), 0.6, "float32")
    window = np.array([[[0.0, 0.5, 1.0, 1.0]]], "float32")
    shown, cut, windows = SecondLookMaps(factor=1)(first, window, second)
    np.testing.assert_allclose(shown[0], [[[0.2, 0.4], [0.2, 0.4]], [[0.2, 0.2], [0.2, 0.2]]], rtol=1e-6)
    np.testing.assert_allclose(cut[0], [np.full((2, 2), 0.4), np.full((2, 2), 0.2)], rtol=1e-6)
    np.testing.assert_array_equal(windows[0], [window[0, 0], [0, 0, 1, 1]])


def test_in_a_small_window_the_second_look_counts_more():
    """A window of 1/8 of the image is half a large one: the first map has the weight 1/4 in place of 1/2."""
    first, second = np.full((1, 1, 4, 4), 0.2, "float32"), np.full((1, 1, 4, 4), 0.6, "float32")
    shown, cut, _ = SecondLookMaps(factor=1)(first, np.array([[[0.0, 0.5, 0.25, 1.0]]], "float32"), second)
    np.testing.assert_allclose(cut, np.full((1, 1, 4, 4), 0.2 / 4 + 0.6 * 3 / 4), rtol=1e-6)
    np.testing.assert_allclose(shown[0, 0, 0], [0.2, 0.2, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(shown[0, 0, 1:], np.full((3, 4), 0.2), rtol=1e-6)


def test_an_image_is_seen_again_by_the_same_network(network, photos):
    """By hand: the box of the first maps, enlarged; its crop as an image of its own; the mean of both."""
    images = photos(1, 48, 64)
    once = keras_cam.build_localizer(network, class_ids=[2], refine="B32")
    again = keras_cam.build_localizer(network, class_ids=[2], refine="look_again")(images)
    first = np.asarray(once(images)["localization_maps"])
    windows = SecondLookWindows()(first)
    crop = crop_and_resize(images, windows, (48, 64))
    second = np.asarray(once(crop)["localization_maps"])
    shown, cut, _ = SecondLookMaps()(first, windows, second)
    np.testing.assert_allclose(again["localization_maps"], shown, atol=1e-5)
    assert np.abs(np.asarray(cut) - first).max() > 0.01
    assert np.asarray(again["detection_boxes"])[0, 0].any()


def test_other_classes_are_seen_once_unless_asked(network, photos):
    images = photos(2, 48, 64)
    once, best, two = (
        keras_cam.build_localizer(network, class_ids=[0, 1, 2], threshold=0.4, **options)(images)
        for options in (
            {"refine": "B32"},
            {"refine": "look_again"},
            {"refine": "look_again", "look_again_k": 2},
        )
    )
    np.testing.assert_allclose(best["detection_boxes"][:, 1:], once["detection_boxes"][:, 1:], atol=1e-5)
    np.testing.assert_allclose(
        two["detection_boxes"][:, ::2][:, :1], best["detection_boxes"][:, :1], atol=1e-5
    )
    assert np.abs(np.asarray(two["detection_boxes"] - best["detection_boxes"])[:, 1]).max() > 0.001
    with pytest.raises(ValueError, match=r"`look_again_k` .* needs refine=\"look_again\""):
        keras_cam.build_localizer(network, refine="B32", look_again_k=2)


def test_a_learned_foreground_counts_in_both_looks(network, photos, tmp_path):
    images, foreground = photos(1, 48, 64), build_foreground(16)
    once, again = (
        keras_cam.build_localizer(network, class_ids=[2], refine=refine, foreground=foreground)
        for refine in ("B32", "look_again")
    )
    first = np.asarray(once(images)["localization_maps"])
    windows = SecondLookWindows()(first)
    second = once(crop_and_resize(images, windows, (48, 64)))["localization_maps"]
    shown, _, _ = SecondLookMaps()(first, windows, second)
    np.testing.assert_allclose(again(images)["localization_maps"], shown, atol=1e-5)
    again.save(tmp_path / "again.keras")
    loaded = keras.models.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(loaded(images)["localization_maps"], again(images)["localization_maps"])


def test_a_photo_of_the_size_of_the_input_is_seen_the_same_from_files(network, photos):
    images = photos(3, 48, 64)
    localizer = KerasLocalizer(keras_cam.build_localizer(network, refine="look_again"))
    seen = localizer.localize_photos(
        images, lambda windows: np.asarray(crop_and_resize(images, windows, (48, 64)))
    )
    for name, values in localizer.localize(images).items():
        np.testing.assert_allclose(seen[name], values, atol=1e-4, err_msg=name)


def test_files_evaluation_and_bytes_see_the_photo_itself(network, photo):
    localizer = KerasLocalizer(keras_cam.build_localizer(network, top_k=1, refine="look_again"))
    small = resize(photo, (48, 64))[None]
    [record] = localize(photo, localizer)
    box = np.array(record.detections[0].box_xyxy) / [400, 300, 400, 300]
    in_input = localizer.localize(small)["detection_boxes"][0, 0][[1, 0, 3, 2]]
    assert np.abs(box - in_input).max() > 0.005

    class Pixels:
        def read(self):
            return photo

    label = record.detections[0].class_id
    boxes = np.array([record.detections[0].box_xyxy], "float32")
    whole = AnnotatedImages("one", ("a", "b", "c", "d"), (
        AnnotatedImage("photo", Pixels(), label, (label,), boxes, np.array([label])),
    ))  # fmt: skip
    results = []
    evaluate(localizer, whole, on_result=results.append)
    assert results[0].iou > 0.999

    png = io.BytesIO()
    Image.fromarray(photo).save(png, "PNG")
    served = build_signatures(localizer.model).functions["localize_bytes"](
        tf.constant([png.getvalue(), b"no"])
    )
    np.testing.assert_allclose(served["detection_boxes"][0, 0].numpy()[[1, 0, 3, 2]], box, atol=2e-3)
    assert not np.any(served["detection_boxes"][1])


def test_windows_of_photos_are_resized_alike_in_python_and_in_the_graph(photo):
    window = np.array([0.13, 0.4, 0.61, 0.93], "float32")
    png = io.BytesIO()
    Image.fromarray(photo).save(png, "PNG")
    decoded, _ = decode_images(tf.constant([png.getvalue()]), (48, 64), window=window[None])
    np.testing.assert_allclose(decoded[0], resize(photo, (48, 64), window), atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("looks", "save", "name"), [(2, save_litert, "cam.tflite"), (1, save_onnx, "cam.onnx")]
)
def test_exported_files_look_again(network, photos, looks, save, name, tmp_path):
    images, asked = photos(2, 48, 64), [[2, 0, 1], [1, 0, 3]]
    model = keras_cam.build_localizer(network, top_k=3, refine="look_again", look_again_k=looks)
    expected, exported = load_localizer(model), load_localizer(save(model, tmp_path / name))
    for ours, theirs in (
        (expected.localize(images), exported.localize(images)),
        (expected.cam(images, asked), exported.cam(images, asked)),
    ):
        for key, values in ours.items():
            np.testing.assert_allclose(theirs[key], values, rtol=1e-3, atol=1e-3, err_msg=key)
