"""Training images: their order, their crops, what chance does to them, and what cannot be read."""

import io
from collections import Counter

import keras
import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from PIL import Image

import keras_cam.images.resize
from keras_cam.data import AnnotatedImage, AnnotatedImages, AnnotationError
from keras_cam.images.files import read_image
from keras_cam.training import Augmentation
from keras_cam.training.augmentation import augment_images, batch_layer, image_layers, mix_batch
from keras_cam.training.dataset import PooledFeatures, TrainingImages, one_hot_labels
from keras_cam.training.hide_and_seek import HideAndSeek
from keras_cam.training.image_crop import (
    DRAWS,
    WINDOW_DRAWS,
    ImageCrops,
    decode,
    is_plain_jpeg,
    random_window,
    resize,
)
from keras_cam.training.image_order import ImageOrder

SIZE_HW = (16, 24)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    """Ten images, each of one grey level by which it can be known: 20 * its index."""
    folder = tmp_path_factory.mktemp("photos")
    images = []
    for index in range(10):
        path = folder / f"{index}.{'jpg' if index % 2 else 'png'}"
        Image.new("RGB", (40, 30), (20 * index,) * 3).save(path)
        images.append(AnnotatedImage(str(index), str(path), index % 3, (index % 3,)))
    return AnnotatedImages("greys", ("a", "b", "c"), tuple(images))


def indices(batches):
    """The images of each batch, known by their grey level."""
    return [np.rint(images[:, 0, 0, 0].numpy() / 20).astype(int).tolist() for images, *_ in batches]


def test_every_epoch_shows_other_images_in_another_order():
    order = ImageOrder(images=10, batch_size=4, seed=1)
    assert order.steps_per_epoch == 2
    epochs = [[order.at(position) for position in range(8 * epoch, 8 * epoch + 8)] for epoch in range(3)]
    for epoch in epochs:
        assert len(set(epoch)) == 8
    assert epochs[0] != epochs[1]
    assert ImageOrder(10, 4, 2).at(0) != order.at(0) or ImageOrder(10, 4, 2).at(1) != order.at(1)
    with pytest.raises(ValueError, match=r"`batch_size` must be at most the number of images, 10"):
        ImageOrder(10, 11, 0)


def test_batches_are_those_of_the_order_with_labels_and_weights(annotated):
    weights = np.array([1.0, 2.0, 4.0])
    images = TrainingImages(annotated, SIZE_HW, batch_size=4, seed=3, class_weights=weights)
    batches = list(images.batches(Augmentation(), 0, 4))
    expected = [[images.order.at(4 * step + place) for place in range(4)] for step in range(4)]
    assert indices(batches) == expected
    for (pixels, labels, batch_weights), chosen in zip(batches, expected, strict=True):
        assert pixels.shape == (4, *SIZE_HW, 3)
        np.testing.assert_array_equal(labels, np.eye(3)[np.array(chosen) % 3])
        np.testing.assert_array_equal(batch_weights, weights[np.array(chosen) % 3])


def test_a_run_may_stop_anywhere_and_workers_share_each_batch(annotated):
    augmentation = Augmentation(crop_scale=(0.2, 1), flip=True, color=0.5, hide=0.5)
    images = TrainingImages(annotated, SIZE_HW, batch_size=4, seed=3)
    whole = [batch[0].numpy() for batch in images.batches(augmentation, 0, 5)]
    later = [batch[0].numpy() for batch in images.batches(augmentation, 3, 5)]
    np.testing.assert_array_equal(whole[3:], later)
    parts = [
        [batch[0].numpy() for batch in images.batches(augmentation, 0, 5, worker, 2, devices=2)]
        for worker in (0, 1)
    ]
    for step in range(5):
        pieces = [part[2 * step + device] for part in parts for device in (0, 1)]
        np.testing.assert_array_equal(np.concatenate(pieces), whole[step])


def test_features_come_in_the_same_order_as_images(annotated):
    images = TrainingImages(annotated, SIZE_HW, batch_size=4, seed=3)
    features = PooledFeatures(images, lambda pixels: tf.reduce_mean(pixels, axis=(1, 2)))
    for worker in (0, 1):
        plain = images.batches(Augmentation(), 1, 4, worker, 2)
        for ours, theirs in zip(features.batches(1, 4, worker, 2), plain, strict=True):
            np.testing.assert_allclose(ours[0], np.mean(theirs[0], axis=(1, 2)), atol=1e-3)
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_the_next_image_stands_in_for_one_that_cannot_be_read(annotated, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(annotated[5].encoded()[:-200])
    images = list(annotated.images)
    images[5] = AnnotatedImage("five", str(broken), 2, (2,))
    images[6] = AnnotatedImage("six", str(tmp_path / "missing.png"), 0, (0,))
    damaged = AnnotatedImages("damaged", annotated.class_names, tuple(images))
    train = TrainingImages(damaged, SIZE_HW, batch_size=10)
    [batch] = train.batches(Augmentation(), 0, 1)
    assert Counter(indices([batch])[0]) == Counter([0, 1, 2, 3, 4, 7, 7, 7, 8, 9])
    assert set(train.failures) == {"five", "six"}
    assert "missing.png" in train.failures["six"]
    np.testing.assert_array_equal(np.argmax(batch[1], axis=1), np.array(indices([batch])[0]) % 3)
    features = PooledFeatures(train, lambda pixels: tf.reduce_mean(pixels, axis=(1, 2)))
    weights = np.concatenate([batch[2].numpy() for batch in features.batches(0, 1)])
    assert sorted(weights) == [0] * 2 + [1] * 8
    nothing = AnnotatedImages("nothing", annotated.class_names, tuple(images[5:7]))
    train = TrainingImages(nothing, SIZE_HW, batch_size=2)
    with pytest.raises(AnnotationError, match=r"None of the 2 images of nothing can be read: Cannot read"):
        PooledFeatures(train, lambda pixels: pixels)


def test_jpegs_are_decoded_as_for_localization_and_others_left_to_pillow(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.jpg", quality=95)
    encoded = (tmp_path / "noise.jpg").read_bytes()
    assert is_plain_jpeg(encoded)
    difference = decode(encoded).astype(int) - read_image(tmp_path / "noise.jpg")
    assert np.abs(difference).max() <= 4  # of two builds of libjpeg-turbo
    assert not is_plain_jpeg(encoded[:-2])  # cut off: Pillow has to say what is wrong
    assert decode(b"\xff\xd8 no photo \xff\xd9") is None


def test_of_a_large_photo_training_reads_what_a_crop_needs(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 2400, dtype=np.uint8)[:, None], (1600, 1, 3))
    noise = np.random.default_rng(0).integers(-9, 9, ramp.shape)
    Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / "large.jpg", quality=95)
    image = AnnotatedImage("large", str(tmp_path / "large.jpg"), 0, (0,), size_wh=(2400, 1600))
    crops = [ImageCrops(keep=keep) for keep in (False, True)]
    augmentation, draws = Augmentation(crop_scale=(0.25, 1)), np.random.default_rng(7).random(DRAWS)
    one, other = (crop.read(image, (32, 32), augmentation, draws).astype(int) for crop in crops)
    assert np.ptp(one) > 50
    assert np.abs(one - other).max() <= 6


@pytest.mark.parametrize("size", [64, 224, 320])
def test_training_resizes_nearly_as_localization_does(size):
    photo = Image.fromarray(skimage.data.chelsea())
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=90)
    encoded = file.getvalue()
    decoded = np.asarray(Image.open(file))
    serving = keras_cam.images.resize.resize(decoded, (size, size))
    read = resize(decode(encoded), (size, size))
    assert 0 < np.abs(serving - read).mean() < 1.2  # measured: 0.7 to 1.1 grey levels


def test_a_turned_photo_is_trained_on_upright(tmp_path):
    photo = Image.new("RGB", (40, 20))
    photo.paste("white", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    photo.save(tmp_path / "turned.jpg", exif=exif)
    image = AnnotatedImage("turned", str(tmp_path / "turned.jpg"), 0, (0,))
    pixels = ImageCrops().read(image, (8, 4))
    assert pixels[:3].min() > 250
    assert pixels[5:].max() < 5


def test_kept_images_are_decoded_once(tmp_path):
    path = tmp_path / "noise.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)).save(path)
    image = AnnotatedImage("noise", str(path), 0, (0,))
    crops = [ImageCrops(keep=keep) for keep in (False, True)]
    augmentation = Augmentation(crop_scale=(0.1, 0.5), flip=True)
    draws = np.random.default_rng(7).random(DRAWS)
    one, other = (crop.read(image, (32, 32), augmentation, draws) for crop in crops)
    np.testing.assert_array_equal(one, other)
    path.unlink()
    again = crops[1].read(image, (32, 32), augmentation, draws)
    np.testing.assert_array_equal(again, other)


def test_windows_have_the_wanted_area_and_ratio_and_are_inside():
    rng = np.random.default_rng(0)
    for _ in range(200):
        y, x, height, width = random_window(rng.random(WINDOW_DRAWS), (100, 120), (0.3, 0.5), (0.5, 2.0))
        assert 0 <= y <= y + height <= 100
        assert 0 <= x <= x + width <= 120
        assert 0.29 < height * width / 12000 < 0.51
        assert 0.48 < width / height < 2.05
    # Nothing of ratio 1 has 90 % of the area of a strip: the largest one in its middle.
    assert random_window(rng.random(WINDOW_DRAWS), (10, 100), (0.9, 1.0), (1.0, 1.0)) == (0, 45, 10, 10)


@pytest.mark.parametrize("augmentation", [Augmentation(color=0.6), Augmentation(hide=0.5)], ids=str)
def test_the_same_number_makes_the_same_image_and_another_one_another(augmentation):
    image = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 3)).astype(np.float32)
    images, numbers = tf.constant(np.repeat(image, 20, axis=0)), tf.range(20)
    changed = augment_images(image_layers(augmentation), images, numbers).numpy()
    again = augment_images(image_layers(augmentation), images[::-1], numbers[::-1]).numpy()
    np.testing.assert_array_equal(changed, again[::-1])
    assert len({one.tobytes() for one in changed}) > 10
    assert changed.min() >= 0
    assert changed.max() <= 255.001


def test_a_flip_mirrors_half_of_the_images(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape((2, 2, 3))
    Image.fromarray(pixels).save(tmp_path / "small.png")
    image, crops, rng = (
        AnnotatedImage("small", str(tmp_path / "small.png"), 0, (0,)),
        ImageCrops(),
        np.random.default_rng(0),
    )
    flipped = [crops.read(image, (2, 2), Augmentation(flip=True), rng.random(DRAWS)) for _ in range(200)]
    mirrored = sum(np.array_equal(one, pixels[:, ::-1]) for one in flipped)
    same = sum(np.array_equal(one, pixels) for one in flipped)
    assert mirrored + same == 200
    assert 70 < mirrored < 130


def test_hide_and_seek_hides_whole_patches_while_training():
    layer = HideAndSeek(0.5, grid=4, seed=0)
    images = np.zeros((64, 16, 16, 3), np.float32)
    np.testing.assert_array_equal(layer(images), images)
    hidden = layer(images, training=True).numpy()[..., 0] > 0
    patches = hidden.reshape(64, 4, 4, 4, 4).mean(axis=(2, 4))
    assert set(np.unique(patches)) == {0, 1}
    assert 0.45 < patches.mean() < 0.55
    with pytest.raises(ValueError, match=r"`probability` must be in \[0, 1\)"):
        HideAndSeek(1.0)


@pytest.mark.parametrize("augmentation", [Augmentation(mixup=0.4), Augmentation(cutmix=1.0)], ids=str)
def test_mixed_images_have_labels_in_the_same_proportion(augmentation):
    levels = tf.constant([0.0, 100.0])
    images = tf.reshape(levels, (2, 1, 1, 1)) * tf.ones((1, 128, 128, 3))
    found = set()
    for number in range(10):
        mixed, labels = mix_batch(batch_layer(augmentation), images, tf.eye(2), number)
        np.testing.assert_allclose(np.sum(labels, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(np.mean(mixed, axis=(1, 2, 3)), 100 * labels[:, 1], atol=1)  # whole pixels
        found.add(round(float(labels[0, 0]), 3))
    assert len(found) > 3


def test_several_labels_an_image():
    images = (AnnotatedImage("0", "", 2, (2, 0)), AnnotatedImage("1", "", 1, (1,)))
    annotated = AnnotatedImages("", ("a", "b", "c"), images)
    assert one_hot_labels(annotated).tolist() == [[0, 0, 1], [0, 1, 0]]
    assert one_hot_labels(annotated, multi_label=True).tolist() == [[1, 0, 1], [0, 1, 0]]


def test_attention_dropout_hides_the_peak_or_weighs_by_attention():
    from keras_cam.layers import AttentionDropout

    features = np.random.default_rng(0).random((2, 4, 4, 3)).astype("float32")
    attention = features.mean(axis=-1, keepdims=True)
    np.testing.assert_array_equal(AttentionDropout()(features), features)
    hidden = AttentionDropout(1.0, threshold=0.8)(features, training=True)
    kept = attention <= 0.8 * attention.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(hidden, features * kept)
    assert 0 < kept.mean() < 1
    weighed = AttentionDropout(0.0)(features, training=True)
    np.testing.assert_allclose(weighed, features / (1 + np.exp(-attention)), rtol=1e-5)
    layer = keras.layers.deserialize(keras.layers.serialize(AttentionDropout(0.3, 0.7)))
    assert (layer.drop_rate, layer.threshold) == (0.3, 0.7)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]\. Received: drop_rate=2"):
        AttentionDropout(2)
