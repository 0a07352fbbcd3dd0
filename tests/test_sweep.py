"""Thousands of odd inputs and kills at any moment, always the same ones: `make sweep`."""

import io
import json
import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage import data

import keras_cam
from damage import damaged
from keras_cam import load_localizer, localize_files
from keras_cam.export import save_litert, save_saved_model
from keras_cam.images.files import IMAGE_SUFFIXES, write_png
from processes import KERAS_CAM, start_python

pytestmark = pytest.mark.sweep

SEED = 0
FILES, NETWORKS, LOCALIZATIONS, SOAKED = 2000, 200, 10_000, 100_000

# Warnings, and what libtiff itself writes: stderr is kept where no bar is drawn.
ALSO_SAID = re.compile(r"keras-cam: warning: |(tempfile\.tif|\w+Decode|TIFF\w+): ")


@pytest.fixture(scope="module")
def models(colour_classifier, tmp_path_factory):
    """The same localizer in several formats."""
    folder = tmp_path_factory.mktemp("models")
    localizer = keras_cam.build_localizer(colour_classifier, labels=["red", "green", "blue"])
    localizer.save(folder / "colours.keras")
    return {
        "keras": folder / "colours.keras",
        "litert": save_litert(localizer, folder / "colours.tflite"),
        "saved_model": save_saved_model(localizer, folder / "colours" / "1"),
    }


# Files ------------------------------------------------------------------------------------------------------


def encoded(image, suffix, **options):
    stream = io.BytesIO()
    image.save(stream, suffix, **options)
    return stream.getvalue()


def whole_files():
    """Small images in all formats, so that a change of any byte matters, and what people take for images."""
    rgb = Image.fromarray(data.astronaut()).resize((40, 30))
    grey, alpha = rgb.convert("L"), rgb.convert("RGBA")
    alpha.putalpha(grey)
    turned = Image.Exif()
    turned[0x0112] = 6
    palette = rgb.quantize(16)
    values = np.asarray(grey, np.float32)
    yield from (encoded(rgb, "JPEG", **options) for options in ({}, {"progressive": True}, {"exif": turned}))
    yield from (encoded(rgb.convert(mode), "JPEG") for mode in ("L", "CMYK"))
    yield from (encoded(image, "PNG") for image in (rgb, grey, alpha, palette, rgb.convert("1")))
    yield encoded(palette, "PNG", transparency=3)
    yield encoded(Image.fromarray((values * 257).astype(np.uint16)), "PNG")
    yield encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(90)] * 3)
    yield from (encoded(image, "BMP") for image in (rgb, palette, alpha))
    yield from (encoded(rgb, "TIFF", compression=name) for name in ("raw", "tiff_lzw", "tiff_adobe_deflate"))
    yield encoded(Image.fromarray(np.where(values > 99, np.nan, values)), "TIFF")
    yield from (encoded(alpha, "WEBP", lossless=lossless) for lossless in (True, False))
    yield from (encoded(rgb, suffix) for suffix in ("PPM", "JPEG2000", "MPO"))
    yield from (encoded(rgb.resize(size), "PNG") for size in ((1, 1), (1, 900), (900, 1)))
    yield from (b"", b"\0" * 100, b"<html>404 Not Found</html>", b"PK\3\4" + bytes(range(256)))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, rng, whole = tmp_path_factory.mktemp("files"), np.random.default_rng(SEED), list(whole_files())
    for index in range(FILES):
        content, other = whole[index % len(whole)], whole[rng.integers(len(whole))]
        suffix = IMAGE_SUFFIXES[rng.integers(len(IMAGE_SUFFIXES))]
        (folder / f"{index:04d}{suffix}").write_bytes(damaged(content, other, rng))
    return folder


@pytest.mark.parametrize("name", ["keras", "litert"])
def test_every_file_has_a_record_or_a_reason(files, models, name, report_count, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # so that no thread tears the lines of another
    process = start_python(*KERAS_CAM, "localize", files, "--model", models[name], "--json")
    out, err = process.communicate()
    assert process.returncode == 1, err[-2000:]
    records, complaints = [json.loads(line) for line in out.splitlines()], err.splitlines()
    named = [Path(record["image"]) for record in records]
    named += [file for file in files.iterdir() if any(f"Cannot read {file}: " in line for line in complaints)]
    assert sorted(named) == sorted(files.iterdir())
    unread = [line for line in complaints if ": Cannot read " in line]
    assert len(unread) == FILES - len(records)  # one line each
    assert [line for line in complaints if line not in unread and not ALSO_SAID.match(line)] == []
    assert len(records) > FILES / 4
    for record in records:
        for detection in record["detections"]:
            assert np.isfinite(detection["score"])
            if detection["box_xyxy"]:
                xmin, ymin, xmax, ymax = detection["box_xyxy"]
                assert 0 <= xmin < xmax <= record["width"]
                assert 0 <= ymin < ymax <= record["height"]
    report_count(f"damaged photos of all formats on {name}, {len(records):,} of them localized", FILES)


def test_a_server_answers_for_every_file(files, models, report_count):
    localize_bytes = tf.saved_model.load(models["saved_model"]).signatures["localize_bytes"]
    contents, seen = [file.read_bytes() for file in sorted(files.iterdir())], 0
    for start in range(0, FILES, 50):
        out = localize_bytes(image_bytes=tf.constant(contents[start : start + 50]))
        boxes, counts = out["detection_boxes"].numpy(), out["num_detections"].numpy()
        for rows, count in zip(boxes, counts, strict=True):
            assert np.all((rows[:count] >= 0) & (rows[:count] <= 1))
            assert np.all(rows[:count, 2:] > rows[:count, :2])
            assert not rows[count:].any()
        seen += np.count_nonzero(counts)
    assert seen > FILES / 8
    report_count(f"damaged photos for a server, {seen:,} of them localized", FILES)


# Networks ---------------------------------------------------------------------------------------------------


def random_block(x, rng):
    """One more piece of a backbone."""
    layers, channels = keras.layers, int(rng.choice([4, 8, 12]))
    activation = str(rng.choice(["relu", "relu6", "gelu", "silu", "linear", "tanh"]))
    stride = int(rng.integers(1, 3))

    def squeezed():
        gate = layers.Dense(x.shape[-1], "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return layers.multiply([x, gate])

    def residual():
        inner = layers.Conv2D(x.shape[-1], 3, padding="same", activation=activation)(x)
        return layers.add([x, layers.BatchNormalization()(inner)])

    def branches():
        ways = [layers.Conv2D(channels, size, padding="same", activation=activation)(x) for size in (1, 3)]
        return layers.concatenate([*ways, layers.MaxPooling2D(3, 1, "same")(x)])

    def nested():
        inner = [layers.Conv2D(channels, 1), layers.Activation(activation), layers.BatchNormalization()]
        return keras.Sequential([keras.Input(x.shape[1:]), *inner])(x)

    def shared():
        convolution = layers.Conv2D(x.shape[-1], 3, padding="same")
        return convolution(convolution(x))

    blocks = [
        lambda: layers.Conv2D(channels, 3, stride, "same", activation=activation)(x),
        lambda: layers.Conv2D(channels, 3, 1, "same", dilation_rate=2)(x),
        lambda: layers.SeparableConv2D(channels, 3, stride, "same", activation=activation)(x),
        lambda: layers.DepthwiseConv2D(3, stride, "same", activation=activation)(x),
        lambda: layers.Conv2DTranspose(channels, 3, 2, "same")(x),
        lambda: layers.BatchNormalization()(x),
        lambda: layers.LayerNormalization()(x),
        lambda: layers.GroupNormalization(1)(x),
        lambda: layers.MaxPooling2D(2, padding="same")(x),
        lambda: layers.AveragePooling2D(3, 1, padding="same")(x),
        lambda: layers.Dropout(0.5)(x),
        lambda: layers.SpatialDropout2D(0.5)(x),
        lambda: layers.LeakyReLU()(x),
        lambda: layers.PReLU(shared_axes=[1, 2])(x),
        lambda: layers.UpSampling2D(2)(x),
        lambda: layers.ZeroPadding2D(1)(x),
        lambda: layers.Cropping2D(1)(layers.ZeroPadding2D(1)(x)),
        lambda: layers.RandomFlip()(x),
        lambda: keras.ops.relu(x) * 2.0 - 1.0,
        squeezed,
        residual,
        branches,
        nested,
        shared,
    ]
    return blocks[rng.integers(len(blocks))]()


# What comes behind the backbone: the logits of `classes` classes. The first have exact maps, the second have
# maps from gradients.
EXACT = {
    "dense": lambda x, n: keras.layers.Dense(n)(keras.layers.GlobalAveragePooling2D()(x)),
    "no bias": lambda x, n: keras.layers.Dense(n, use_bias=False)(keras.layers.GlobalAveragePooling2D()(x)),
    "dropout": lambda x, n: keras.layers.Dense(n)(
        keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    ),
    "normalized": lambda x, n: keras.layers.Dense(n)(
        keras.layers.BatchNormalization()(keras.layers.GlobalAveragePooling2D()(x))
    ),
    "two dense": lambda x, n: keras.layers.Dense(n)(
        keras.layers.Dense(6)(keras.layers.GlobalAveragePooling2D()(x))
    ),
    "convolution before": lambda x, n: keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(n, 1)(x)),
    "convolution after": lambda x, n: keras.layers.Flatten()(
        keras.layers.Conv2D(n, 1)(keras.layers.GlobalAveragePooling2D(keepdims=True)(x))
    ),
    "reshaped": lambda x, n: keras.layers.Reshape((n,))(
        keras.layers.Conv2D(n, 1)(keras.layers.GlobalAveragePooling2D(keepdims=True)(x))
    ),
    "mean": lambda x, n: keras.layers.Dense(n)(keras.ops.mean(x, axis=(1, 2))),
    "average pooling": lambda x, n: keras.layers.Dense(n)(
        keras.layers.Flatten()(keras.layers.AveragePooling2D(x.shape[1:3])(x))
    ),
    "flattened": lambda x, n: keras.layers.Dense(n)(keras.layers.Flatten()(keras.layers.Resizing(3, 3)(x))),
    "layer normalization": lambda x, n: keras.layers.Dense(n)(
        keras.layers.LayerNormalization()(keras.layers.GlobalAveragePooling2D()(x))
    ),
    "unit length": lambda x, n: keras.layers.Dense(n)(
        keras.layers.UnitNormalization()(keras.layers.GlobalAveragePooling2D()(x))
    ),
}
INEXACT = {
    "maximum": lambda x, n: keras.layers.Dense(n)(keras.layers.GlobalMaxPooling2D()(x)),
    "hidden layer": lambda x, n: keras.layers.Dense(n)(
        keras.layers.Dense(6, "relu")(keras.layers.GlobalAveragePooling2D()(x))
    ),
    "both poolings": lambda x, n: keras.layers.Dense(n)(
        keras.layers.concatenate(
            [keras.layers.GlobalAveragePooling2D()(x), keras.layers.GlobalMaxPooling2D()(x)]
        )
    ),
    "squared": lambda x, n: keras.layers.Dense(n)(keras.ops.square(keras.layers.GlobalAveragePooling2D()(x))),
}


@pytest.mark.parametrize("seed", range(SEED, SEED + NETWORKS))
def test_any_network_is_explained_exactly_or_by_gradients(seed, randomize, photos):
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    height, width = (int(size) for size in rng.integers(9, 33, 2))
    inputs = keras.Input((height, width, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    for _ in range(rng.integers(1, 7)):
        x = random_block(x, rng)
    heads = EXACT | INEXACT
    head = list(heads)[rng.integers(len(heads))]
    classes = int(rng.integers(2, 7))
    activation = str(rng.choice(["linear", "softmax", "sigmoid"]))
    logits = heads[head](x, classes)
    model = keras.Model(inputs, keras.layers.Activation(activation)(logits))
    randomize(model, seed)

    localizer = keras_cam.build_localizer(model, top_k="all")
    images = photos(2, height, width, seed)
    if head in EXACT:
        # The mean of a map and the logit differ by a bias, which is the same for both images.
        rows = localizer(images)
        means = np.mean(rows["class_activation_maps"], axis=(2, 3))
        means = np.take_along_axis(means, np.argsort(rows["detection_classes"], axis=1), axis=1)
        bias = keras.Model(inputs, logits)(images, training=False) - means
        np.testing.assert_allclose(bias[0], bias[1], rtol=1e-4, atol=1e-4 * max(1, np.abs(means).max()))
    else:
        assert localizer.map_kind == "gradient"
        with pytest.raises(ValueError, match=r"Received: .*layer|layer .*\."):
            keras_cam.build_localizer(model, method="cam")
    rows = localizer(images)
    boxes, counts = np.asarray(rows["detection_boxes"]), np.asarray(rows["num_detections"])
    for one, count in zip(boxes, counts, strict=True):
        assert np.all((one[:count] >= 0) & (one[:count] <= 1))
        assert np.all(one[:count, 2:] > one[:count, :2])


# Memory -----------------------------------------------------------------------------------------------------


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measured as Linux does")
@pytest.mark.parametrize("name", ["keras", "litert", "saved_model"])
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(LOCALIZATIONS, id="ten_thousand"),
        pytest.param(SOAKED, id="hundred_thousand", marks=pytest.mark.soak),
    ],
)
def test_many_localizations_need_no_more_memory_than_few(models, name, count, tmp_path, report_count):
    write_png(tmp_path / "photo.png", data.astronaut()[::8, ::8])
    localizer, memory = load_localizer(models[name]), np.zeros(count)
    photos = [tmp_path / "photo.png"] * count
    for place, _ in enumerate(localize_files(localizer, photos, batch_size=32)):
        memory[place] = resident_mib()
    assert memory[-1]
    few = count // 5
    growth = memory[few:].max() - memory[:few].max()
    assert growth < 8
    report_count(f"localizations of {name}, the last four fifths with {growth:.1f} MiB more memory", count)
