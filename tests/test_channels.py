"""Models that do not take RGB: grey values, 16 bits, many bands, from arrays and from files."""

import keras
import numpy as np
import pytest
import tifffile
from keras import layers
from PIL import Image

import keras_cam
from keras_cam.images.files import ImageError, find_images, read_image
from keras_cam.images.viewable import viewable


def localizer_of(channels, size=8, **options):
    """A localizer whose only class has the mean of all channels as its map."""
    images = keras.Input((size, size, channels), name="images")
    pooled = layers.GlobalAveragePooling2D()(images)
    ones = layers.Dense(1, use_bias=False, kernel_initializer="ones")(pooled)
    return keras_cam.build_localizer(keras.Model(images, ones), refine="none", **options)


def spot(channels, dtype, value):
    """Dark, with a bright square in the lower right quarter."""
    image = np.zeros((8, 8, channels), dtype)
    image[4:, 4:] = value
    return image


@pytest.mark.parametrize(
    ("channels", "dtype", "value"), [(1, "uint16", 40000), (4, "uint8", 9), (12, "float32", 0.5)]
)
def test_arrays_keep_their_values(channels, dtype, value):
    photo = spot(channels, dtype, value)
    [record] = keras_cam.localize(photo, localizer_of(channels))
    [found] = record.detections
    np.testing.assert_allclose(found.activation_map[4:, 4:], float(value) * channels, rtol=1e-6)
    assert found.activation_map[:4].max() == 0
    assert found.box_xyxy == pytest.approx((4, 4, 8, 8), abs=0.6)
    assert record.picture().shape[-1] == 3


def test_a_grey_array_needs_no_third_axis():
    [record] = keras_cam.localize(spot(1, "uint8", 7)[..., 0], localizer_of(1))
    assert record.detections[0].activation_map.max() == 7


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8), (2, 8, 8, 3)])
def test_arrays_of_other_channels_are_refused(shape):
    with pytest.raises(ValueError, match=r"numbers \(H, W, 4\).*Received: uint8"):
        keras_cam.localize(np.zeros(shape, "uint8"), localizer_of(4))


def write(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    elif array.shape[-1] in (1, 3, 4) and array.dtype != "float32":
        Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(path)
    else:
        tifffile.imwrite(path, array.squeeze(), photometric="minisblack", metadata=None)


@pytest.mark.parametrize(
    ("name", "channels", "dtype", "value"),
    [
        ("grey.png", 1, "uint8", 200),
        ("grey16.png", 1, "uint16", 40000),
        ("grey16.tif", 1, "uint16", 40000),
        ("grey.tif", 1, "float32", 0.25),
        ("grey.npy", 1, "float64", 0.25),
        ("rgba.png", 4, "uint8", 100),
        ("bands.tif", 12, "float32", -1.5),
        ("bands.npy", 12, "int16", -300),
    ],
)
def test_files_keep_their_values(tmp_path, name, channels, dtype, value):
    photo = spot(channels, dtype, value)
    write(tmp_path / name, photo)
    np.testing.assert_array_equal(read_image(tmp_path / name, channels), photo)
    [record] = keras_cam.localize_files(localizer_of(channels), tmp_path)
    np.testing.assert_allclose(record.detections[0].activation_map[4:, 4:], value * channels, rtol=1e-6)
    assert record.picture().dtype == np.uint8


def test_bands_may_come_first(tmp_path):
    np.save(tmp_path / "bands.npy", np.moveaxis(spot(5, "uint8", 3), -1, 0))
    np.testing.assert_array_equal(read_image(tmp_path / "bands.npy", 5), spot(5, "uint8", 3))


def test_grey_of_colours_is_their_luma(tmp_path):
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "red.png")
    assert read_image(tmp_path / "red.png", 1).tolist() == [[[76], [76]]] * 2  # 0.299 * 255


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("few.npy", np.zeros((8, 8, 3)), "shape is .8, 8, 3., and the model takes 12"),
        ("few.tif", np.zeros((8, 8, 5), "float32"), "and the model takes 12"),
        ("nan.npy", np.full((8, 8, 12), np.nan), "not finite"),
        ("text.npy", np.full((8, 8, 12), "a"), "not numbers"),
        ("object.npy", np.full((8, 8, 12), None), "Python objects"),
    ],
)
def test_files_of_other_bands_are_named(tmp_path, name, array, message):
    write(tmp_path / name, array)
    with pytest.raises(ImageError, match=f"{name}.*({message})"):
        read_image(tmp_path / name, 12)
    [failed] = keras_cam.localize_files(localizer_of(12), tmp_path / name)
    assert name in failed.error


def test_rgb_models_do_not_read_arrays(tmp_path):
    np.save(tmp_path / "bands.npy", np.zeros((8, 8, 3), "uint8"))
    with pytest.raises(ImageError, match="not an image"):
        read_image(tmp_path / "bands.npy")


def test_a_folder_stands_for_its_images_or_else_for_its_arrays(tmp_path):
    np.save(tmp_path / "features.npy", np.zeros(3))
    assert find_images(tmp_path) == [tmp_path / "features.npy"]
    Image.new("RGB", (2, 2)).save(tmp_path / "photo.png")
    assert find_images(tmp_path) == [tmp_path / "photo.png"]


def test_any_pixels_can_be_seen():
    assert viewable(spot(1, "uint16", 40000))[-1, -1].tolist() == [255, 255, 255]
    assert viewable(np.full((2, 2, 5), 0.3)).max() == 0  # constant
    rgb = np.zeros((2, 2, 3), np.uint8)
    assert viewable(rgb) is rgb


def encoded(array, folder):
    write(folder / "photo.png", array)
    return (folder / "photo.png").read_bytes()


def test_served_grey_models_read_the_same_values(tmp_path):
    import tensorflow as tf

    from keras_cam.export.decode_images import decode_images

    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    for array in (spot(1, "uint16", 40000), spot(1, "uint8", 9), rgb):
        content = encoded(array, tmp_path)
        images, is_image = decode_images(tf.constant([content]), (8, 8), 1)
        assert is_image.numpy().tolist() == [True]
        np.testing.assert_array_equal(images[0], read_image(tmp_path / "photo.png", 1))
    _, is_image = decode_images(tf.constant([b"no", b"\x89PNG"]), (8, 8), 1)
    assert is_image.numpy().tolist() == [False, False]


@pytest.mark.parametrize("channels", [1, 12])
def test_saved_models_keep_the_channels(tmp_path, channels):
    keras_cam.export.save_saved_model(localizer_of(channels), tmp_path / "1")
    served = keras_cam.load_localizer(tmp_path / "1")
    assert served.channels == channels
    [record] = keras_cam.localize(spot(channels, "float32", 2.0), served)
    assert record.detections[0].activation_map.max() == pytest.approx(2 * channels)
    assert ("localize_bytes" in served._model.signatures) == (channels == 1)


def test_one_cell_is_said_rather_than_passed_over():
    images = keras.Input((8, 8, 3))
    features = layers.Conv2D(4, 8)(images)
    model = keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(features)))
    with pytest.warns(
        UserWarning, match=r"one cell, so there can be no box: use a larger image.*\(8, 8, 3\)"
    ):
        localizer = keras_cam.build_localizer(model, refine="none")
    [record] = keras_cam.localize(spot(3, "uint8", 9), localizer)
    assert [found.remark for found in record.detections] == ["map of one cell"] * 2
