import keras
import numpy as np
import pytest

from keras_cam.layers.local_response_normalization import LocalResponseNormalization


def normalize_by_hand(x, radius, bias, alpha, beta):
    """The formula of section 3.3, channel by channel."""
    y = np.empty_like(x)
    for i in range(x.shape[-1]):
        neighbours = x[..., max(0, i - radius) : i + radius + 1]
        y[..., i] = x[..., i] / (bias + alpha * (neighbours**2).sum(-1)) ** beta
    return y


def random_maps(scale=1.0):
    return scale * np.random.default_rng(0).normal(size=(2, 3, 4, 9)).astype("float32")


@pytest.mark.parametrize(
    "arguments",
    [
        {"depth_radius": 2, "bias": 1.0, "alpha": 2e-5, "beta": 0.75},
        {"depth_radius": 0, "bias": 2.0, "alpha": 0.5, "beta": 0.5},
        {"depth_radius": 9, "bias": 1.0, "alpha": 0.1, "beta": 1.0},
    ],
)
def test_equals_the_formula(arguments):
    x = random_maps(scale=50.0)
    expected = normalize_by_hand(x.astype("float64"), *arguments.values())
    np.testing.assert_allclose(LocalResponseNormalization(**arguments)(x), expected, rtol=1e-5)


def test_the_defaults_are_those_of_caffe():
    # Caffe divides alpha = 1e-4 by its window of 5: five channels of 100 give 1 + 1e-4 * 100 ** 2 = 2.
    x = np.full((1, 1, 1, 5), 100.0, "float32")
    middle = LocalResponseNormalization()(x)[0, 0, 0, 2]
    assert float(middle) == pytest.approx(100 / 2**0.75, rel=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("bfloat16", 1e-2)])
def test_squares_do_not_overflow_in_half_precision(dtype, tolerance):
    x = random_maps(scale=1000.0)
    y = LocalResponseNormalization(dtype=f"mixed_{dtype}")(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    expected = normalize_by_hand(x, 2, 1.0, 2e-5, 0.75)
    np.testing.assert_allclose(keras.ops.cast(y, "float32"), expected, rtol=tolerance)


def test_is_saved_with_its_arguments(tmp_path):
    images = keras.Input((None, None, 9))
    layer = LocalResponseNormalization(depth_radius=1, bias=2.0, alpha=0.3, beta=0.4, name="norm")
    model = keras.Model(images, layer(images))
    assert model.output.shape == (None, None, None, 9)
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("norm").get_config() == layer.get_config()
    np.testing.assert_array_equal(loaded(random_maps()), model(random_maps()))


@pytest.mark.parametrize("depth_radius", [-1, 2.0])
def test_a_wrong_radius_is_named(depth_radius):
    with pytest.raises(ValueError, match=f"integer >= 0. Received: depth_radius={depth_radius}"):
        LocalResponseNormalization(depth_radius=depth_radius)
