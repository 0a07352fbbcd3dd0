"""Refined maps: by hand, in every family of networks, saved, in half precision, and on real photos."""

import json

import keras
import numpy as np
import pytest
import skimage

import keras_cam
from each_network import each_network
from keras_cam import evaluate, load_localizer
from keras_cam.applications.features import attach, backbone_of, extract_features, fit_linear_svm
from keras_cam.cli import main as cli
from keras_cam.data import read_annotations
from keras_cam.export import save_litert, save_saved_model
from keras_cam.graph.flat_graph import flat_graph
from keras_cam.graph.foreground import build_foreground
from keras_cam.graph.taps import NoTapsError, find_taps
from keras_cam.images.files import read_image
from keras_cam.images.resize import resize
from keras_cam.inference import LiteRTLocalizer
from keras_cam.layers import AffinityRefinement, HalfSteps, InterleavedMaps, MapDetections, UnitRange
from keras_cam.ops.area_resize import area_resize
from keras_cam.recipes import RECIPES
from keras_cam.training import train_foreground

SMALL = {"classes": 3, "input_shape": (128, 128, 3)}
FAMILIES = ["alexnet_gap", "mobilenet_v2"]
OTHER_FAMILIES = [
    "vgg16_gap", "googlenet_gap", "nin_gap", "efficientnet_lite0", "resnet50", "resnet50_v2", "densenet121",
    "mobilenet", "mobilenet_v3_small", "efficientnet_b0", "efficientnet_v2_b0", "inception_v3", "xception",
    "nasnet_mobile",
]  # fmt: skip


def by_hand(maps, features):
    """The formula of `AffinityRefinement` for features of the size of the map, position by position."""
    seed = np.maximum(maps, 0) / np.maximum(maps, 0).max()
    vectors = []
    for kind in features:
        flat = kind.reshape(-1, kind.shape[-1])
        flat = flat - flat.mean(axis=0)
        vectors.append(flat / np.linalg.norm(flat, axis=1, keepdims=True))
    refined = np.zeros(seed.size)
    for i in range(seed.size):
        weights = [max(np.mean([kind[i] @ kind[j] for kind in vectors]), 0) ** 2 for j in range(seed.size)]
        refined[i] = np.dot(weights, seed.ravel()) / np.sum(weights)
    return refined.reshape(maps.shape)


def small_network(shape, classes=4):
    """A classifier whose maps have a 32th of the size of the images."""
    halving = [keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu") for _ in range(5)]
    pooled = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(classes)]
    return keras.Sequential([keras.Input(shape), *halving, *pooled])


def test_maps_are_spread_as_the_formula_says():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(3, 4)).astype("float32")
    features = [rng.normal(size=(3, 4, channels)).astype("float32") for channels in (5, 2)]
    refined = AffinityRefinement()(maps[None, None], [kind[None] for kind in features])
    np.testing.assert_allclose(refined[0, 0], by_hand(maps, features), rtol=1e-4, atol=1e-6)


def test_areas_keep_the_mean_whatever_the_sizes():
    images = np.random.default_rng(0).random((2, 5, 7, 3)).astype("float32")
    resized = area_resize(images, (3, 4))
    np.testing.assert_allclose(np.mean(resized, axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-5)
    pooled = keras.layers.AveragePooling2D(2)(images[:, :4, :6])
    np.testing.assert_allclose(area_resize(images[:, :4, :6], (2, 3)), pooled, rtol=1e-5)


@pytest.mark.parametrize("phase", [0, 1])
def test_half_steps_interleave_to_what_a_dense_network_gives(phase):
    """Taking every other position halves the input: the map at all positions is the input itself."""
    fine = np.arange(24, dtype="float32").reshape(1, 4, 6, 1)
    halved, steps = (x[:, phase::2, phase::2] for x in (fine, np.asarray(HalfSteps(phase)(fine))))
    maps, between = (np.transpose(x, (0, 3, 1, 2)) for x in (halved, steps))
    np.testing.assert_array_equal(InterleavedMaps(phase)(maps, between, fine)[0, 0], fine[0, :, :, 0])


def test_several_thresholds_give_the_mean_of_their_boxes():
    maps = np.random.default_rng(0).random((2, 3, 6, 6)).astype("float32")
    arguments = (np.zeros((2, 3), "int32"), np.full((2, 1), 0.5, "float32"), np.zeros((2, 48, 48, 3)))
    each = [MapDetections(one, boxes_first=False)(maps, *arguments)["detection_boxes"] for one in (0.3, 0.5)]
    both = MapDetections([0.3, 0.5], boxes_first=False)(maps, *arguments)
    np.testing.assert_allclose(both["detection_boxes"], np.mean(each, axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="Several thresholds need one box per class"):
        MapDetections([0.3, 0.5], max_boxes=2)


def test_a_constant_map_has_no_refined_box():
    flat = UnitRange()([np.full((1, 2, 3, 3), 0.25, "float32")])
    assert np.max(flat) == 0
    refined = AffinityRefinement()(np.full((1, 1, 3, 3), -1.0, "float32"), [np.ones((1, 3, 3, 2), "float32")])
    assert np.isfinite(refined).all()
    assert np.max(refined) == 0


@each_network(FAMILIES + OTHER_FAMILIES, FAMILIES)
def test_every_family_can_be_refined(name, randomize, photos):
    model = randomize(keras_cam.build_model(name, **SMALL))
    images = photos(2, 128, 128)
    plain = keras_cam.build_localizer(model, class_ids=[2, 0, 1])(images)
    localizer = keras_cam.build_localizer(model, class_ids=[2, 0, 1], refine="affinity")
    first, second = localizer(images), localizer(images)
    for key, values in first.items():
        assert np.isfinite(values).all(), key
        np.testing.assert_array_equal(values, second[key], err_msg=key)
        assert values.shape == (2, *localizer.output[key].shape[1:]), key
    for key in ("detection_scores", "class_activation_maps"):  # refinement leaves the classifier alone
        np.testing.assert_allclose(first[key], plain[key], rtol=1e-3, atol=1e-3, err_msg=key)
    refined = np.asarray(first["localization_maps"])
    assert refined.min() >= 0
    assert refined.max() == pytest.approx(1)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_save_and_take_other_classes_and_half_precision(recipe, randomize, photos, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = randomize(small_network((64, 96, 3)))
    localizer = keras_cam.build_localizer(model, refine=recipe, class_ids="input")
    inputs = {"images": photos(2, 64, 96), "class_ids": np.array([[3], [1]], "int32")}
    expected = localizer(inputs)
    finer = 4 if RECIPES[recipe].looks_again else 1
    assert expected["localization_maps"].shape == (2, 1, 4 * finer, 6 * finer)
    assert expected["localization_maps"].dtype == "float32"
    localizer.save(tmp_path / "localizer.keras")
    again = keras.models.load_model(tmp_path / "localizer.keras")(inputs)
    for key, values in expected.items():
        np.testing.assert_array_equal(again[key], values, err_msg=key)


def test_taps_are_found_in_nested_backbones_and_can_be_named(randomize):
    inside = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(64, 64, 3))
    model = keras.Sequential(
        [keras.Input((64, 64, 3)), keras.layers.Rescaling(1 / 255), inside]
        + [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    )
    head = keras_cam.find_classification_head(model)
    graph = flat_graph(keras.Model(head.inputs, head.features))
    assert [(tap.name, tap.stride) for tap in find_taps(graph)] == [("block_5_add", 8), ("block_9_add", 16)]
    named = keras_cam.build_localizer(model, refine="affinity", taps=["block_3_expand_relu"])
    assert named.output["localization_maps"].shape[2:] == (16, 16)
    with pytest.raises(ValueError, match=r"`taps` must name layers .*Received: taps=\['nothing'\]"):
        keras_cam.build_localizer(model, refine="affinity", taps=["nothing"])


def test_what_cannot_be_refined_is_refused_and_the_command_falls_back(tmp_path, capsys):
    images = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.AveragePooling2D(4)(images))
    model = keras.Model(images, keras.layers.Dense(2)(pooled))
    bare = keras.Model(images, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(images)))
    with pytest.raises(NoTapsError, match='refine="affinity" needs layers before the pooling'):
        keras_cam.build_localizer(bare, refine="affinity")
    with pytest.raises(NoTapsError, match='refine="affinity" needs mid-level features'):
        keras_cam.build_localizer(model, refine="affinity")
    with pytest.raises(ValueError, match=r"`refine` must be one of .*'B32'.*Received: refine='more'"):
        keras_cam.build_localizer(model, refine="more")
    with pytest.raises(
        ValueError, match=r"`taps` can only be given for refined maps\. Received: refine='none'"
    ):
        keras_cam.build_localizer(model, refine="none", taps=["a"])
    model.save(tmp_path / "plain.keras")
    keras.utils.save_img(tmp_path / "photo.png", np.eye(32)[..., None] * [255, 0, 0])
    arguments = ["localize", str(tmp_path / "photo.png"), "--model", str(tmp_path / "plain.keras"), "--json"]
    assert cli.main(arguments) == 0
    assert cli.main([*arguments, "--refine", "B32"]) == 2
    assert "needs mid-level features" in capsys.readouterr().err


def test_small_heads_are_refined_by_what_speaks_for_a_class(randomize, photos):
    small, large, alone = (randomize(small_network((128, 128, 3), classes)) for classes in (3, 101, 1))
    images = photos(1, 128, 128)

    def maps(model, positive):
        localizer = keras_cam.build_localizer(model, class_ids=[0], refine="B32", positive_weights=positive)
        return np.asarray(localizer(images)["localization_maps"])

    np.testing.assert_array_equal(maps(small, None), maps(small, True))
    np.testing.assert_array_equal(maps(large, None), maps(large, False))
    np.testing.assert_array_equal(maps(alone, None), maps(alone, False))
    assert np.abs(maps(small, True) - maps(small, False)).max() > 0.01


def test_refinement_beats_plain_maps_on_photos(real_data, capsys):
    data = real_data / "ilsvrc_val_dev"
    figures = {}
    for refine in ("none", "B32"):
        assert (
            cli.main(["evaluate", "--data", str(data), "--limit", "128", "--refine", refine, "--json"]) == 0
        )
        figures[refine] = json.loads(capsys.readouterr().out)["gt_known_accuracy"]
    assert figures["B32"] > figures["none"] + 0.03


@pytest.mark.parametrize("recipe", sorted(RECIPES.keys() - {"look_again"}))  # that: test_second_look.py
def test_refined_localizers_are_exported_as_they_are(recipe, randomize, photos, tmp_path):
    model = randomize(small_network((64, 64, 3)))
    localizer = keras_cam.build_localizer(model, top_k=2, refine=recipe)
    images = photos(2, 64, 64)
    expected = localizer(images)
    save_saved_model(localizer, tmp_path / "cam" / "1")
    exported = [
        load_localizer(tmp_path / "cam"),
        load_localizer(save_litert(localizer, tmp_path / "cam.tflite")),
    ]
    for outputs in (one.localize(images) for one in exported):
        assert set(outputs) == set(expected)
        for key, values in expected.items():
            np.testing.assert_allclose(outputs[key], values, rtol=1e-3, atol=1e-3, err_msg=key)


@pytest.fixture(scope="module")
def lite0():
    return keras_cam.build_model("efficientnet_lite0", weights="imagenet", input_shape=(160, 160, 3))


def test_a_foreground_is_learned_from_refined_maps_and_sharpens_them(lite0, tmp_path):
    photos = [f"{skimage.data_dir}/{name}.png" for name in ("chelsea", "coffee")]
    foreground = train_foreground(lite0, photos, epochs=40)
    plain = keras_cam.build_localizer(lite0, top_k=1, refine="affinity")
    localizer = keras_cam.build_localizer(lite0, top_k=1, refine="affinity", foreground=foreground)
    images = np.stack([resize(read_image(photo), (160, 160)) for photo in photos])
    before, after = (np.asarray(one(images)["localization_maps"])[:, 0] for one in (plain, localizer))
    assert after.min() == 0
    assert after.max() == 1
    # What it was told is foreground stands out more clearly from what it was told is not.
    assert after[before > 0.5].mean() - after[before < 0.3].mean() > 0.6
    at_each = [
        keras_cam.build_localizer(lite0, 1, foreground=foreground, threshold=threshold)(images)
        for threshold in (0.4, 0.45, 0.5)
    ]
    mean_boxes = np.mean([np.asarray(one["detection_boxes"]) for one in at_each], axis=0)
    np.testing.assert_allclose(localizer(images)["detection_boxes"], mean_boxes, atol=1e-6)
    localizer.save(tmp_path / "localizer.keras")
    again = keras.models.load_model(tmp_path / "localizer.keras")(images)
    np.testing.assert_array_equal(again["localization_maps"][:, 0], after)
    lite = LiteRTLocalizer(save_litert(localizer, tmp_path / "cam.tflite"))
    np.testing.assert_allclose(lite.localize(images)["localization_maps"][:, 0], after, atol=1e-3)


def test_a_foreground_of_other_features_and_of_no_images_is_refused(lite0, tmp_path):
    with pytest.raises(ValueError, match=r"`foreground` must take the 120 channels .* mid-level features"):
        keras_cam.build_localizer(lite0, refine="affinity", foreground=build_foreground(7))
    with pytest.raises(ValueError, match="`foreground` can only be given for refined maps"):
        keras_cam.build_localizer(lite0, refine="none", foreground=build_foreground(120))
    errors = []
    with pytest.raises(
        ValueError, match=r"At least one image must be readable and have a map\. Received: 1 images"
    ):
        train_foreground(lite0, [tmp_path / "missing.jpg"], on_image=errors.append)
    assert "missing.jpg" in errors[0]


def test_the_command_writes_a_localizer_and_names_what_it_could_not_read(lite0, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    classifier, output = tmp_path / "classifier.keras", tmp_path / "new" / "localizer.keras"
    lite0.save(classifier)
    photos = [f"{skimage.data_dir}/coffee.png", str(tmp_path / "broken.jpg")]
    command = ["foreground", *photos, "--model", str(classifier), "--output", str(output), "--epochs", "2"]
    assert cli.main(command) == 1
    assert "broken.jpg" in capsys.readouterr().err
    assert cli.main(["localize", photos[0], "--model", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["detections"][0]["label"] == "espresso"
    assert cli.main([*command[:4], str(output), "--output", str(output)]) == 2
    assert "must be a classifier" in capsys.readouterr().err
    assert cli.main([*command[:6], str(tmp_path / "localizer.h5")]) == 2
    assert "--output must end in .keras" in capsys.readouterr().err


@pytest.mark.sweep  # five minutes
def test_a_foreground_learned_without_labels_finds_birds_better(real_data):
    train, test = (read_annotations(real_data / "cub10", split) for split in ("train", "test"))
    model = keras_cam.build_model("efficientnet_lite0", weights="imagenet", input_shape=(320, 320, 3))
    backbone = backbone_of(model)
    classifier = attach(fit_linear_svm(extract_features(backbone, train)), backbone)
    foreground = train_foreground(classifier, [image.image for image in train])
    before, after = (
        evaluate(keras_cam.build_localizer(classifier, refine="affinity", foreground=one), test).to_dict()
        for one in (None, foreground)
    )
    assert before["gt_known_accuracy"] >= 0.84
    assert after["gt_known_accuracy"] >= 0.88
    assert after["gt_known_accuracy"] > before["gt_known_accuracy"]
