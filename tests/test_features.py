"""Pooled features, the linear classifiers made from them, and these as models with maps."""

import os
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from keras_cam.applications.features import (
    FeatureExtractor,
    FeatureTable,
    LinearSvm,
    attach,
    backbone_of,
    extract_features,
    fit_linear_svm,
)
from keras_cam.applications.features.channel_localizer import channel_localizer
from keras_cam.applications.features.feature_extractor import FEATURES
from keras_cam.cli import main as cli
from keras_cam.data import read_annotations
from keras_cam.inference import KerasLocalizer, runtimes
from keras_cam.models.labels import labels_of
from processes import run_python

COLOURS = {"blue": 2, "green": 1, "red": 0}


@pytest.fixture(scope="module")
def network():
    """Its features are the colours in cells of 8 pixels, two times: nested, as transfer learning does it."""
    inner_input = keras.Input((32, 32, 3))
    cells = keras.layers.AveragePooling2D(4, name="cells")(inner_input)
    inner = keras.Model(inner_input, keras.layers.AveragePooling2D(2, name="large_cells")(cells))
    images = keras.Input((32, 32, 3))
    features = inner(keras.layers.Rescaling(1 / 255)(images))
    logits = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(features))
    return keras.Model(images, logits)


@pytest.fixture
def folder(tmp_path):
    """Six photos of each colour: a square of it somewhere on dark noise."""
    rng = np.random.default_rng(0)
    for name, channel in COLOURS.items():
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 60, (64, 64, 3), np.uint8)
            top, left = rng.integers(0, 40, 2)
            pixels[top : top + 24, left : left + 24, channel] = 255
            Image.fromarray(pixels).save(tmp_path / "train" / name / f"{number}.png")
    return tmp_path


@pytest.fixture
def table(network, folder):
    return extract_features(backbone_of(network), read_annotations(folder, "train"))


def test_a_backbone_ends_where_it_is_told_to(network):
    assert backbone_of(network).output.shape == (None, 4, 4, 3)
    assert backbone_of(network, "cells").output.shape == (None, 8, 8, 3)
    assert backbone_of(keras_cam.build_localizer(network)).output.shape == (None, 4, 4, 3)
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    cells = image.reshape(1, 8, 4, 8, 4, 3).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(backbone_of(network, "cells")(image), cells, atol=1e-6)
    with pytest.raises(ValueError, match=r"must name a layer of the model. Received: layer='cell'"):
        backbone_of(network, "cell")
    with pytest.raises(ValueError, match=r"must give a map .* gives \(None, 5\)"):
        backbone_of(network, network.layers[-1].name)


def test_features_are_the_mean_colours(table, folder):
    annotated = read_annotations(folder, "train")
    assert table.names == tuple(image.name for image in annotated)
    assert table.class_names == ("blue", "green", "red")
    np.testing.assert_array_equal(table.labels, np.repeat([0, 1, 2], 6))
    means = [image.read().mean(axis=(0, 1)) / 255 for image in annotated]
    np.testing.assert_allclose(table.vectors, means, atol=0.01)  # the resizing cuts what overshoots


def test_a_broken_image_has_no_row_and_is_told(network, folder):
    (folder / "train" / "green" / "0.png").write_bytes(b"broken")
    found = extract_features(backbone_of(network), read_annotations(folder, "train"), batch_size=4)
    assert len(found) == len(found.labels) == len(found.vectors) == 17
    assert "green/0.png" not in found.names
    [failure] = found.failures
    assert "0.png" in failure
    np.testing.assert_array_equal(np.bincount(found.labels), [6, 5, 6])


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_table_is_the_same_after_it_was_written(table, tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    table.save(path)
    again = FeatureTable.load(path)
    assert (again.names, again.class_names) == (table.names, table.class_names)
    np.testing.assert_array_equal(again.vectors, table.vectors)
    np.testing.assert_array_equal(again.labels, table.labels)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [path.name]
    empty = table.take(np.zeros(len(table), bool))
    empty.save(path)
    assert FeatureTable.load(path).vectors.shape[0] == 0


def test_parquet_has_columns_that_other_programs_understand(table, tmp_path):
    from pyarrow import parquet

    table.save(tmp_path / "table.parquet")
    [row] = parquet.read_table(tmp_path / "table.parquet").slice(7, 1).to_pylist()
    assert (row["name"], row["label"], row["class"]) == ("green/1.png", 1, "green")
    assert row["features"] == table.vectors[7].tolist()


def test_other_suffixes_are_refused_before_anything_is_done(network, folder):
    with pytest.raises(ValueError, match=r"must end in one of .*\.parquet.*Received: path='x.csv'"):
        extract_features(backbone_of(network), read_annotations(folder, "train"), "x.csv")


def test_an_interrupted_extraction_goes_on_where_it_was(network, folder, monkeypatch, table):
    monkeypatch.setattr(sys.modules["keras_cam.applications.features.extraction"], "_PART", 4)
    annotated = read_annotations(folder, "train")
    backbone, path, seen = backbone_of(network), folder / "table.npz", []

    def interrupt_after_ten():
        seen.append(1)
        if len(seen) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(backbone, annotated, path, 2, interrupt_after_ten)
    assert not path.exists()
    for image in annotated.images[:8]:  # what is done is not read again
        (folder / "train" / image.name).unlink()
    seen.clear()
    resumed = extract_features(backbone, annotated, path, 2, lambda: seen.append(1))
    assert len(seen) == 18
    np.testing.assert_allclose(resumed.vectors, table.vectors, atol=1e-6)
    assert not (folder / "table.npz.parts").exists()
    assert FeatureTable.load(path).names == table.names


def test_slices_add_up_to_the_whole_table(network, folder, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["keras_cam.applications.features.extraction"], "_PART", 4)
    network.save(folder / "network.keras")
    (folder / "train" / "green" / "1.png").write_bytes(b"no photo")
    command = [
        "features",
        "--data",
        str(folder),
        "--split",
        "train",
        "--model",
        str(folder / "network.keras"),
    ]
    assert cli.main([*command, "--output", str(folder / "whole.npz")]) == 1
    command += ["--output", str(folder / "table.npz")]
    capsys.readouterr()
    # Blue, green, red, six photos each in parts of four: the eighth is the broken one.
    assert [cli.main([*command, "--slice", f"{number}/3"]) for number in (3, 2, 1)] == [0, 1, 0]
    assert not (folder / "table.npz").exists()
    assert len(list((folder / "table.npz.parts").iterdir())) == 5
    assert cli.main(command) == 1
    whole, table = FeatureTable.load(folder / "whole.npz"), FeatureTable.load(folder / "table.npz")
    assert (table.names, len(table)) == (whole.names, 17)
    np.testing.assert_array_equal(table.vectors, whole.vectors)
    assert cli.main([*command, "--slice", "1/2", "--test-split", "train"]) == 2
    assert "--slice goes with --output" in capsys.readouterr().err


def test_parts_that_are_damaged_or_of_another_backbone_do_not_count(network, folder, monkeypatch):
    monkeypatch.setattr(sys.modules["keras_cam.applications.features.extraction"], "_PART", 4)
    annotated, path = read_annotations(folder, "train"), folder / "table.npz"

    def interrupt():
        raise KeyboardInterrupt

    parts = folder / "table.npz.parts"
    other = keras.Model(network.inputs, backbone_of(network).output * 2)
    monkeypatch.setattr(FeatureTable, "save", lambda table, path: interrupt())
    with pytest.raises(KeyboardInterrupt):
        extract_features(other, annotated, path)
    assert len(list(parts.iterdir())) == 5
    (parts / "000000004.npz").write_bytes(b"PK damaged")
    monkeypatch.undo()
    again = extract_features(backbone_of(network), annotated, path)
    assert again.vectors.max() < 0.6


@pytest.fixture(scope="module")
def network_file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.keras"
    network.save(path)
    return path


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(runtimes, "_may_have_gpu", lambda: False)


@pytest.mark.parametrize(
    ("runtime", "layer"), [*((runtime, None) for runtime in runtimes.RUNTIMES), ("litert", "cells")]
)
def test_every_runtime_gives_the_features_of_keras(network, network_file, runtime, layer):
    extractor = FeatureExtractor.load(network_file, layer, runtime)
    assert (extractor.runtime, extractor.size_hw, extractor.channels) == (runtime, (32, 32), 3)
    images = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype("float32")
    expected = FeatureExtractor.of(backbone_of(network, layer)).pool(images)
    np.testing.assert_allclose(expected, images.mean(axis=(1, 2)) / 255, atol=1e-5)
    np.testing.assert_allclose(extractor.pool(images), expected, atol=1e-5)


def test_a_map_of_one_cell_is_pooled_without_a_warning():
    images = keras.Input((8, 8, 3))
    backbone = keras.Model(images, keras.layers.AveragePooling2D(8)(images))
    image = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3)).astype("float32")
    found = KerasLocalizer(channel_localizer(backbone)).classify(image)
    np.testing.assert_allclose(found, image.mean(axis=(1, 2)), rtol=1e-5)


def test_a_conversion_with_other_features_is_noticed(network):
    backbone = backbone_of(network)
    swapped = keras.Model(backbone.inputs, keras.ops.flip(backbone.output, axis=-1))
    one, other = (KerasLocalizer(channel_localizer(each)) for each in (backbone, swapped))
    other.threshold = None  # as files have it
    runtimes._check_same(one, one, FEATURES)
    with pytest.raises(ValueError, match=r"Received: features that differ by 0\.\d+"):
        runtimes._check_same(one, other, FEATURES)


def test_what_litert_cannot_compute_has_its_features_from_tensorflow(tmp_path, no_gpu):
    images = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(2, 3, dtype="mixed_float16")(images)
    logits = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(features))
    path = tmp_path / "half.keras"
    keras.Model(images, logits).save(path)
    many = runtimes.WORTH_CONVERTING
    assert FeatureExtractor.load(path, photos=many).runtime == "tensorflow"
    with pytest.raises(ValueError, match="LiteRT cannot compute in 16 bits"):
        FeatureExtractor.load(path, runtime="litert")


def test_unknown_runtimes_and_exported_models_are_refused(network_file):
    with pytest.raises(ValueError, match=r"`runtime` must be one of .* Received: runtime='torch'"):
        FeatureExtractor.load(network_file, runtime="torch")
    with pytest.raises(ValueError, match=r"exported localizers do not .* Received: model='cam.tflite'"):
        FeatureExtractor.load("cam.tflite")


def test_parts_of_another_runtime_are_extracted_again(network_file, folder, monkeypatch):
    monkeypatch.setattr(sys.modules["keras_cam.applications.features.extraction"], "_PART", 4)
    annotated, path = read_annotations(folder, "train"), folder / "table.npz"
    extractors = {
        name: FeatureExtractor.load(network_file, runtime=name) for name in ("tensorflow", "litert")
    }

    def interrupt_the_third_part(images):
        pooled.append(len(images))
        if len(pooled) == 3:
            raise KeyboardInterrupt
        return extractors["tensorflow"].pool(images)

    def count(images):
        pooled.append(len(images))
        return extractors[name].pool(images)

    for name, computed in [("tensorflow", [4, 4, 2]), ("litert", [4, 4, 4, 4, 2])]:
        pooled = []
        with pytest.raises(KeyboardInterrupt):
            extract_features(
                replace(extractors["tensorflow"], pool=interrupt_the_third_part), annotated, path
            )
        pooled = []
        extract_features(replace(extractors[name], pool=count), annotated, path)
        assert pooled == computed


def test_the_command_says_what_computed_and_keeps_to_what_was_converted(
    network_file, folder, no_gpu, monkeypatch, capsys
):
    FeatureExtractor.load(network_file, runtime="litert")
    converted = os.environ["KERAS_CAM_CONVERTED"]
    command = ["features", "--data", str(folder), "--split", "train", "--model", str(network_file)]
    tables = {}
    for name, cache, options, runtime in (
        ("few", str(folder / "empty"), [], "tensorflow"),
        ("asked", converted, ["--runtime", "litert"], "litert"),
        ("converted", converted, [], "litert"),
    ):
        monkeypatch.setenv("KERAS_CAM_CONVERTED", cache)
        output = folder / f"{name}.npz"
        assert cli.main([*command, *options, "--output", str(output)]) == 0
        assert capsys.readouterr().out == f"18 x 3 features, computed by {runtime}: {output}\n"
        tables[name] = FeatureTable.load(output)
    np.testing.assert_allclose(tables["asked"].vectors, tables["few"].vectors, atol=1e-5)
    np.testing.assert_array_equal(tables["converted"].vectors, tables["asked"].vectors)
    with pytest.raises(SystemExit):
        cli.main([*command, "--runtime", "torch", "--output", str(output)])
    assert "invalid choice: 'torch'" in capsys.readouterr().err


def test_what_was_converted_extracts_slices_without_tensorflow(network_file, folder, no_gpu):
    FeatureExtractor.load(network_file, runtime="litert")
    output = folder / "table.npz"
    options = ["--data", folder, "--split", "train", "--model", network_file, "--output", output]
    code = (
        "import sys; from keras_cam.cli.main import main; print(main(sys.argv[1:])); "
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    found = run_python("-c", code, "features", *options, "--slice", "1/1")
    assert found.stdout == f"Slice 1 of 1, computed by litert: {output}.parts\n0\nset()\n"


def test_the_svm_separates_and_its_scale_is_folded_in(table):
    svm = fit_linear_svm(table)
    assert svm.accuracy(table) == 1
    assert svm.cost in svm.accuracies
    assert svm.accuracies[svm.cost] == max(svm.accuracies.values())
    assert fit_linear_svm(table, [0.01]).accuracies == {}
    scaled = FeatureTable(table.names, table.vectors * 1000 - 7, table.labels, table.class_names)
    same = fit_linear_svm(scaled, [0.01]).margins(scaled.vectors)
    np.testing.assert_allclose(same, fit_linear_svm(table, [0.01]).margins(table.vectors), atol=1e-3)


def test_the_svm_is_that_of_scikit_learn(table):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    reference = make_pipeline(StandardScaler(), LinearSVC(C=0.1, dual="auto", random_state=0))
    reference.fit(table.vectors, table.labels)
    margins = fit_linear_svm(table, [0.1]).margins(table.vectors)
    np.testing.assert_allclose(margins, reference.decision_function(table.vectors), atol=1e-3)


def test_classes_without_images_are_never_predicted_and_two_classes_are_enough(table):
    two = table.take(table.labels != 1)
    svm = fit_linear_svm(two)
    assert svm.accuracy(two) == 1
    margins = svm.margins(two.vectors)
    np.testing.assert_allclose(margins[:, 0], -margins[:, 2], atol=1e-4)
    assert set(svm.margins(table.vectors).argmax(axis=1)) == {0, 2}


def test_what_cannot_be_trained_is_refused(table):
    with pytest.raises(ValueError, match="images of 1 classes"):
        fit_linear_svm(table.take(table.labels == 1))
    with pytest.raises(ValueError, match="one image of class 'blue'"):
        fit_linear_svm(table.take(np.arange(len(table)) > 4))


def test_the_attached_svm_is_a_classifier_with_exact_maps_and_saves(
    network, table, folder, tmp_path, assert_maps_explain
):
    svm = fit_linear_svm(table)
    model = attach(svm, backbone_of(network))
    model.save(tmp_path / "colours.keras")
    model = keras.models.load_model(tmp_path / "colours.keras")
    assert labels_of(model) == ("blue", "green", "red")
    images = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    margins = svm.margins(backbone_of(network)(images).numpy().mean(axis=(1, 2)))
    np.testing.assert_allclose(model(images), margins, rtol=1e-4, atol=1e-3)
    assert_maps_explain(keras_cam.build_localizer(model, top_k="all"), margins, images, atol=1e-3)
    dark = np.zeros((1, 32, 32, 3), "float32")
    dark[:, 8:16, 16:32, 2] = 255
    out = keras_cam.build_localizer(model, class_ids=[0])(dark)
    hottest = np.unravel_index(np.argmax(out["class_activation_maps"][0, 0]), (4, 4))
    assert hottest[0] == 1
    assert hottest[1] in (2, 3)


def test_another_backbone_is_refused(network):
    svm = LinearSvm(np.zeros((7, 2), "float32"), np.zeros(2, "float32"), ("cat", "dog"), 1.0)
    with pytest.raises(ValueError, match=r"the 7 channels .* Received: 3 channels"):
        attach(svm, backbone_of(network))


def test_the_command_extracts_trains_measures_and_writes(network, folder, capsys):
    model, classifier = str(folder / "network.keras"), str(folder / "colours.keras")
    network.save(model)
    arguments = ["features", "--data", str(folder), "--split", "train", "--model", model]
    output = folder / "table.parquet"
    command = [*arguments, "--test-split", "train", "--output", str(output), "--classifier", classifier]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "18 x 3 features" in out
    assert "100.0%" in out
    assert len(FeatureTable.load(output)) == 18
    assert cli.main(["localize", str(folder / "train" / "red"), "--model", classifier, "--json"]) == 0
    assert capsys.readouterr().out.count('"label": "red"') == 6


def test_the_command_says_what_is_wrong(folder, capsys):
    arguments = ["features", "--data", str(folder), "--split", "train"]
    assert cli.main(arguments) == 2
    assert "--output, --classifier and --test-split" in capsys.readouterr().err
    assert cli.main([*arguments, "--classifier", "x.h5"]) == 2
    assert "must end in .keras" in capsys.readouterr().err
    assert cli.main([*arguments, "--output", "x.csv"]) == 2
    assert "'x.csv'" in capsys.readouterr().err
    assert cli.main([*arguments, "--output", "x.npz", "--layer", "nothing"]) == 2
    assert "'nothing'" in capsys.readouterr().err
