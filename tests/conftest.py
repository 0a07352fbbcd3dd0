"""Fixtures that several test files share: models, images, and the paper's identity of maps and logits."""

import os
import runpy
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

# Tests find no models that were converted before, nor leave any.
os.environ["KERAS_CAM_CONVERTED"] = tempfile.mkdtemp()

EXAMPLES = Path(__file__).parent.parent / "examples"

# Programs that need torch, not tests.
collect_ignore = ["make_map_method_outputs.py", "make_torchvision_outputs.py"]

# What `make quick` leaves out, besides single tests that are marked as slow and those that use `real_data`.
SLOW_FILES = {
    # Build large networks.
    "test_applications",
    "test_boxes",
    "test_build_model",
    "test_caffe_weights",
    "test_dilation",
    "test_efficientnet_lite",
    "test_paper_networks",
    "test_ten_crops",
    "test_torchvision_weights",
    # Build many localizers.
    "test_callbacks",
    "test_channels",
    "test_classifiers",
    "test_evaluate",
    "test_features",
    "test_fine_grained",
    "test_informative_objects",
    "test_metrics_choe2020",
    "test_no_images",
    "test_refinement",
    "test_saliency",
    "test_second_look",
    "test_video",
    # Convert, compile, or start servers, browsers and processes whose memory is measured.
    "test_annotation_tools",
    "test_export_command",
    "test_export_cpp",
    "test_export_litert",
    "test_export_mediapipe",
    "test_export_any_classifier",
    "test_export_onnx",
    "test_export_parity",
    "test_export_saved_model",
    "test_export_serving",
    "test_export_web",
    "test_memory",
    "test_model_files",
    "test_quiet_libraries",
    "test_runtime",
    "test_runtimes",
    "test_threads",
    "test_tiles",
    "test_window",
    # Train, also in processes that are killed or on several devices.
    "test_concepts",
    "test_question_answering",
    "test_training_distributed",
    "test_training_published_weights",
    "test_training_runs",
    "test_metrics_strategy",
    # Run the examples of all pages.
    "test_docs",
    "test_notebooks",
    "test_readme",
    "test_walks",
}


_COUNTS = pytest.StashKey[dict[str, int]]()


@pytest.fixture
def report_count(request):
    """`report_count("kills of train", 50)`: printed below the results, also while pytest captures output."""

    def report_count(what, count):
        request.config.stash.setdefault(_COUNTS, {})[what] = count

    return report_count


def pytest_terminal_summary(terminalreporter, config):
    counts = config.stash.get(_COUNTS, {})
    if counts:
        terminalreporter.section("counts")
    for what, count in counts.items():
        terminalreporter.write_line(f"{count:8,} {what}")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in SLOW_FILES or "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def dtype_policy_as_it_was():
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="session")
def real_data():
    """The folder of the development sets, which the environment variable KERAS_CAM_DATA names."""
    if "KERAS_CAM_DATA" not in os.environ:
        pytest.skip("KERAS_CAM_DATA does not name the folder of the development sets")
    return Path(os.environ["KERAS_CAM_DATA"])


@pytest.fixture(scope="session")
def randomize():
    """Give every weight of a model a random value, batch statistics included, that keeps activations sane."""

    def value(variable, rng):
        shape, kind = variable.shape, variable.path.rpartition("/")[2]
        if kind in ("moving_variance", "variance", "gamma"):
            return rng.uniform(0.5, 1.5, shape)
        if len(shape) < 2:  # biases, means
            return rng.normal(0, 0.2, shape)
        # A depthwise kernel (h, w, C, 1) sees h * w values, any other all but its last axis.
        fan_in = np.prod(shape[:2]) if kind == "depthwise_kernel" else np.prod(shape[:-1])
        return rng.normal(0, np.sqrt(2 / fan_in), shape)

    def randomize(model, seed=0):
        rng = np.random.default_rng(seed)
        for variable in model.variables:
            if "float" in keras.backend.standardize_dtype(variable.dtype):
                variable.assign(value(variable, rng))
        return model

    return randomize


@pytest.fixture(scope="session")
def colour_classifier():
    """Class 0, 1, 2 = how red, green, blue the photo is: its maps are the colour channels."""
    images = keras.Input((32, 32, 3))
    features = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(images))
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(pooled))
    model.layers[-1].set_weights([np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    return model


@pytest.fixture(scope="session")
def model_file(colour_classifier, tmp_path_factory):
    """The file colours.keras of `colour_classifier`."""
    path = tmp_path_factory.mktemp("model") / "colours.keras"
    colour_classifier.save(path)
    return path


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """What examples/coloured_shapes.py draws: images, and questions about them in VQA's files."""
    folder = tmp_path_factory.mktemp("shapes")
    runpy.run_path(str(EXAMPLES / "coloured_shapes.py"))["main"](str(folder), 300)
    return folder


@pytest.fixture(scope="session")
def photos():
    """`photos(2, 32, 48)`: random pixels in 0..255, with edges and flat parts as photos have them."""

    def photos(count, height, width, seed=0):
        coarse = np.random.default_rng(seed).integers(0, 256, (count, height // 4 + 1, width // 4 + 1, 3))
        return np.kron(coarse, np.ones((1, 4, 4, 1)))[:, :height, :width].astype("float32")

    return photos


@pytest.fixture(scope="session")
def logits_of_maps():
    """`mean(map) + bias` for all classes, from a localizer with top_k="all": (B, classes)."""

    def logits_of_maps(localizer, images):
        rows = localizer(images)
        means = np.mean(rows["class_activation_maps"], axis=(2, 3))
        order = np.argsort(rows["detection_classes"], axis=1)
        bias = localizer.get_layer("class_activation_head").affine()[1]
        return np.take_along_axis(means, order, axis=1) + np.asarray(bias)

    return logits_of_maps


@pytest.fixture(scope="session")
def assert_maps_explain(logits_of_maps):
    """The identity `mean(map) + bias == logit`, with what the classifier itself returns on the right.

    Probabilities are turned back: log-odds for sigmoid; for softmax, which leaves a constant open,
    differences from the first class.
    """

    def assert_maps_explain(localizer, classifier_output, images, activation="linear", atol=1e-4):
        ours, theirs = logits_of_maps(localizer, images), np.asarray(classifier_output, "float64")
        theirs = theirs.reshape(ours.shape)
        if activation == "sigmoid":
            theirs = np.log(theirs) - np.log1p(-theirs)
        if activation == "softmax":
            assert np.ptp(theirs) > 1e-3, "nothing to explain"
            theirs = np.log(theirs)
            ours, theirs = (logits - logits[:, :1] for logits in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=atol)

    return assert_maps_explain
