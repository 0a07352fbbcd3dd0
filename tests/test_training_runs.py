"""Whole runs on tiny images: what comes out, what survives, and what is said when something is wrong."""

import csv
import dataclasses
import errno
import os
import shutil
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cam
from coco_files import write_coco
from keras_cam.cli import main as cli
from keras_cam.data import AnnotationError, read_annotations
from keras_cam.images.files import read_image
from keras_cam.models.labels import labels_of
from keras_cam.training import (
    Augmentation,
    ConfigError,
    DivergedError,
    Stage,
    StoppedError,
    TrainingConfig,
    load_config,
    train,
)
from keras_cam.training.checkpoints import Checkpoints
from keras_cam.training.classifier import build_classifier, compile_classifier
from keras_cam.training.command import parse_run
from keras_cam.training.dataset import one_hot_labels
from keras_cam.training.run_folder import RunFolder
from keras_cam.training.training_data import read_training_data
from keras_cam.training.validation import Validator
from processes import KERAS_CAM, run_python, start_python

TINY = TrainingConfig(
    stages=(Stage(epochs=2, learning_rate=0.01),),
    model="alexnet_gap",
    head_filters=8,
    image_size=(67, 67),
    batch_size=4,
    train_split=None,
    validation_split=None,
    jit_compile=False,
)

# Two stages, and everything that has a state: dropout, momentum, averages, accumulators.
STATEFUL = """
from keras_cam.training import Augmentation, Stage, TrainingConfig

def get_config():
    return TrainingConfig(
        stages=(
            Stage(epochs=3, learning_rate=0.01, trains="head"),
            Stage(
                epochs=4, learning_rate=0.002, ema=0.9, accumulate=2, weight_decay=1e-4, clip_norm=1.0,
                augmentation=Augmentation(crop_scale=(0.2, 1), flip=True, color=0.3, hide=0.3, mixup=0.2),
            ),
        ),
        model="alexnet_gap", head_filters=8, dropout=0.3, image_size=(67, 67), batch_size=4,
        train_split=None, validation_split=None, checkpoint_every=2,
    )
"""


def draw(folder, counts, size_wh=(80, 70)):
    """Noise with a coloured square; the colour is the class, and the folder's name."""
    rng = np.random.default_rng(0)
    for channel, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 80, (size_wh[1], size_wh[0], 3), np.uint8)
            pixels[20:50, 20:50, channel] = 250
            Image.fromarray(pixels).save(folder / name / f"{index}.jpg")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("photos"), {"blue": 8, "green": 8, "red": 8})


def silent(config, photos, output, **options):
    return train(config, photos, output, "one_device", report=lambda line: None, **options)


def changed(**values):
    return dataclasses.replace(TINY, **values)


def test_a_run_leaves_a_model_that_localizes_and_tells_where_it_is_from(photos, tmp_path):
    lines = []
    config = changed(
        stages=(Stage(epochs=1, learning_rate=0.01, trains="head"), Stage(epochs=2, learning_rate=0.01)),
        validation_split=None,
    )
    trained = train(config, photos, tmp_path / "run", "one_device", report=lines.append)
    assert [row["stage"] for row in trained.history] == [0, 1, 1]
    model = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert labels_of(model) == ("blue", "green", "red")
    images = np.random.default_rng(0).integers(0, 256, (2, 67, 67, 3)).astype("float32")
    np.testing.assert_allclose(model(images), trained.model(images), atol=1e-5)
    localizer = keras_cam.load_localizer(tmp_path / "run" / "localizer.keras")
    assert localizer.labels == ("blue", "green", "red")
    found = localizer.localize(images)
    for expected in (keras_cam.build_localizer(model)(images), trained.localizer(images)):
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-5)
    with open(tmp_path / "run" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in trained.history]
    card = (tmp_path / "run" / "README.md").read_text()
    assert "keras-cam localize photos/ --model localizer.keras" in card
    assert "24 images, 3 classes" in card
    assert "blue, green, red" in card
    assert any("epoch 3 of 3" in line for line in lines)
    again = train(config, photos, tmp_path / "run", "one_device", report=lines.append)
    assert again.history == trained.history
    np.testing.assert_array_equal(again.model.get_weights()[-1], trained.model.get_weights()[-1])


def test_it_learns_and_validates_classes_boxes_and_pictures(tmp_path):
    draw(tmp_path, {"blue": 12, "green": 12, "red": 12})
    names = ["blue", "green", "red"]
    for split, numbers in (("train", range(8)), ("test", range(8, 12))):
        images = {
            f"{name}/{number}.jpg": ((80, 70), [(name, [20, 20, 30, 30])])
            for name in names
            for number in numbers
        }
        write_coco(tmp_path / f"{split}.json", images, names)
    stage = Stage(epochs=8, learning_rate=0.0005, optimizer="adamw", warmup_epochs=1, label_smoothing=0.1)
    config = changed(
        stages=(stage,),
        train_split="train",
        validation_split="test",
        select="accuracy",
        validate_every=4,
        class_weights="balanced",
    )
    lines = []
    trained = train(config, tmp_path, tmp_path / "run", "one_device", report=lines.append)
    assert any(
        "12 images, 3 classes, 12 boxes. The saved model has the weights of the" in line for line in lines
    )
    assert "val_accuracy" not in trained.history[2]
    judged = [row for row in trained.history if "val_accuracy" in row]
    assert [row["epoch"] for row in judged] == [4, 8]
    best = max(judged, key=lambda row: row["val_accuracy"])
    assert best["val_accuracy"] == 1
    evaluation = keras_cam.evaluate(tmp_path / "run" / "localizer.keras", read_annotations(tmp_path, "test"))
    assert best["val_gt_known_accuracy"] == evaluation.to_dict()["gt_known_accuracy"]
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"The weights are those of epoch {best['epoch']}, the best by accuracy." in card
    assert "| green | 4 | 100.0 % |" in card
    assert "|  | blue | green | red |\n| --- | --- | --- | --- |\n| blue | 4 | 0 | 0 |" in card
    assert read_image(tmp_path / "run" / "pictures.png").shape[1] > 600
    assert not (tmp_path / "run" / "mistakes.png").exists()
    assert "mistakes.png" not in card
    pytest.importorskip("tensorboard")
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_the_model_card_shows_what_is_classified_wrong(tmp_path):
    draw(tmp_path / "train", {"blue": 6, "red": 6})
    draw(tmp_path / "test", {"blue": 4, "red": 4})
    config = changed(stages=(Stage(1, 1e-9),), train_split="train", validation_split="test")
    trained = silent(config, tmp_path, tmp_path / "run")
    annotated = read_annotations(tmp_path, "test")
    logits = trained.model.predict_on_batch(next(annotated.batches((67, 67), 8)).images)
    wrong = int((logits.argmax(axis=-1) != annotated.labels).sum())
    assert 0 < wrong <= 6, "an untrained network takes all photos for one class"
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"{wrong} of 8 validation images are classified wrong. Examples:" in card
    assert "(mistakes.png)" in card
    columns = int(np.ceil(np.sqrt(wrong)))  # cells of 320 x 240 on a grid that is about square
    rows = int(np.ceil(wrong / columns))
    shape = (12 + rows * 252, 12 + columns * 332, 3)
    assert read_image(tmp_path / "run" / "mistakes.png").shape == shape


def test_only_images_that_are_read_and_classified_wrong_are_mistakes(tmp_path, colour_classifier):
    draw(tmp_path / "test", {"red": 2, "green": 2, "blue": 2})
    annotated = read_annotations(tmp_path, "test", class_names=("red", "green", "blue"))
    localizer = keras_cam.inference.KerasLocalizer(
        keras_cam.build_localizer(colour_classifier, labels=annotated.class_names)
    )
    validator = Validator(colour_classifier, localizer, annotated, TINY)
    predicted = validator.predictions()
    assert predicted.tolist() == annotated.labels.tolist() == [2, 2, 1, 1, 0, 0]
    assert validator.mistakes(predicted) is None
    (tmp_path / "test" / "blue" / "0.jpg").write_bytes(b"no photo")
    predicted = validator.predictions()
    assert predicted.tolist() == [-1, 2, 1, 1, 0, 0]
    assert validator.mistakes(predicted) is None
    shutil.copy(tmp_path / "test" / "red" / "1.jpg", tmp_path / "test" / "green" / "0.jpg")
    predicted = validator.predictions()
    assert predicted.tolist() == [-1, 2, 0, 1, 0, 0]
    assert validator.mistakes(predicted).shape == (240 + 24, 320 + 24, 3)


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(photos, tmp_path):
    (tmp_path / "stateful.py").write_text(STATEFUL)
    undisturbed = silent(load_config(tmp_path / "stateful.py"), photos, tmp_path / "whole")
    arguments = ["train", "--config", str(tmp_path / "stateful.py"), "--data", str(photos)]
    arguments += ["--output", str(tmp_path / "killed"), "--strategy", "one_device"]
    checkpoints = Checkpoints(tmp_path / "killed" / "checkpoints")
    for steps in (4, 22):  # in the first stage, and in the second one, whose first step is 18
        process = start_python(*KERAS_CAM, *arguments)
        while not any(int(path.stem[5:]) >= steps for path in checkpoints.paths()):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.communicate()
        # The newest file is damaged as well: the one before it has to do.
        os.truncate(checkpoints.paths()[-1], 1000)
    resumed = start_python(*KERAS_CAM, *arguments)
    _, stderr = resumed.communicate()
    assert resumed.returncode == 0, stderr
    model = keras.models.load_model(tmp_path / "killed" / "model.keras")
    for ours, theirs in zip(model.get_weights(), undisturbed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with open(tmp_path / "killed" / "history.csv", newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses == [row["loss"] for row in undisturbed.history]


def test_a_full_disk_stops_the_run_which_goes_on_later(photos, tmp_path, monkeypatch):
    undisturbed = silent(TINY, photos, tmp_path / "one")
    save = Checkpoints.save

    def full(checkpoints, step, *arguments):
        if checkpoints.paths():
            raise OSError(errno.ENOSPC, "No space left on device")
        save(checkpoints, step, *arguments)

    monkeypatch.setattr(Checkpoints, "save", full)
    reason = (
        r"stopped, because .*other cannot be written \(No space left on device\)\. .*step-\d+\.npz is kept"
    )
    with pytest.raises(StoppedError, match=reason):
        silent(TINY, photos, tmp_path / "other")
    assert len(Checkpoints(tmp_path / "other" / "checkpoints").paths()) == 1
    assert not (tmp_path / "other" / "model.keras").exists()
    monkeypatch.undo()
    trained = silent(TINY, photos, tmp_path / "other")
    np.testing.assert_array_equal(trained.model.get_weights()[0], undisturbed.model.get_weights()[0])


LIMITED = """
import resource, sys
from keras_cam.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # as if the disk were full
sys.exit(main(sys.argv[1:]))
"""


def test_the_command_ends_with_one_line_when_the_disk_is_full(photos, tmp_path):
    (tmp_path / "stateful.py").write_text(STATEFUL)
    arguments = [
        "train",
        "--config",
        tmp_path / "stateful.py",
        "--data",
        photos,
        "--output",
        tmp_path / "run",
    ]
    done = run_python("-c", LIMITED, *arguments, "--strategy", "one_device")
    assert done.returncode == 1, done.stderr
    [line] = done.stderr.splitlines()
    assert "Training stopped, because" in line
    assert "cannot be written (File too large). There is no checkpoint yet." in line


def test_two_runs_do_not_train_in_one_folder(photos, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.claim({})
    code = "import os, sys; from keras_cam.training.run_folder import RunFolder\n"
    code += f"RunFolder({str(tmp_path / 'run')!r}).claim({{}}); print('mine'); sys.stdout.flush(); os.abort()"
    assert "Another process trains in" in run_python("-c", code).stderr
    with pytest.raises(ConfigError, match="Another process trains in"):
        RunFolder(tmp_path / "run").claim({})
    folder.release()
    assert run_python("-c", code).stdout == "mine\n"
    folder.claim({})  # a run that died leaves no lock
    folder.release()


def test_a_loss_that_is_no_number_stops_the_run_and_no_checkpoint_has_it(photos, tmp_path):
    config = changed(stages=(Stage(epochs=9, learning_rate=1e9),), checkpoint_every=1)
    with pytest.raises(DivergedError, match=r"The loss is nan at step \d+ .*lower `learning_rate`"):
        silent(config, photos, tmp_path)
    paths = Checkpoints(tmp_path / "checkpoints").paths()
    assert paths
    for path in paths:
        with np.load(path) as archive:
            assert all(np.isfinite(archive[name]).all() for name in archive.files)


def test_a_run_goes_on_only_as_it_was_begun(photos, tmp_path):
    silent(TINY, photos, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"another configuration.*config\.batch_size was 4, is 6"):
        silent(changed(batch_size=6), photos, tmp_path / "run")
    other = draw(tmp_path / "other", {"blue": 8, "green": 8, "red": 7})
    with pytest.raises(ConfigError, match=r"data\.train\.images was 24, is 23"):
        silent(TINY, other, tmp_path / "run")
    assert silent(TINY, photos, tmp_path / "run").history


def test_a_run_notices_changed_pixels_but_not_copied_files(tmp_path):
    draw(tmp_path, {"blue": 2, "red": 2})
    config = changed(train_split=None, validation_split=None)
    before = read_training_data(config, str(tmp_path)).identity()
    file = Path(read_annotations(tmp_path)[0].image)
    file.write_bytes(file.read_bytes())
    os.utime(file, (0, 0))
    assert read_training_data(config, str(tmp_path)).identity() == before
    pixels = read_image(file)
    pixels[5, 7] ^= 255
    Image.fromarray(pixels).save(file)
    after = read_training_data(config, str(tmp_path)).identity()
    assert after["train"]["digest"] == before["train"]["digest"]
    assert after["train"]["pixels"] != before["train"]["pixels"]


def test_a_checkpoint_of_another_model_is_refused(photos, tmp_path):
    silent(TINY, photos, tmp_path / "one")
    silent(changed(head_filters=16), photos, tmp_path / "other")
    newest = Checkpoints(tmp_path / "other" / "checkpoints").paths()[-1]
    for path in Checkpoints(tmp_path / "one" / "checkpoints").paths():
        path.write_bytes(newest.read_bytes())
    with pytest.raises(ValueError, match=r"must hold the \d+ variables of this model.*\(3, 3, 256, 8\)"):
        silent(TINY, photos, tmp_path / "one")
    (tmp_path / "one" / "run.json").unlink()
    with pytest.raises(ConfigError, match=r"has checkpoints, but no run\.json"):
        silent(TINY, photos, tmp_path / "one")


def test_data_that_do_not_fit_are_refused(photos, tmp_path):
    with pytest.raises(ConfigError, match=r"must have the 5 `classes`.*Received: 3, 'blue', 'green', 'red'"):
        silent(changed(classes=5), photos, tmp_path / "run")
    (tmp_path / "photos" / "empty").mkdir(parents=True)
    draw(tmp_path / "photos" / "..photos", {})
    for name in ("blue", "green"):
        (tmp_path / "photos" / name).symlink_to(photos / name)
    with pytest.raises(ConfigError, match=r"Each class must have a training image.*none of 'empty'"):
        silent(TINY, tmp_path / "photos", tmp_path / "run")
    with pytest.raises(ConfigError, match="`data` must name the images"):
        silent(TINY, None, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"`train_split` does not fit the data: .*Received: split='dev'"):
        silent(changed(train_split="dev"), photos, tmp_path / "run")
    with pytest.raises(ValueError, match="`batch_size` must be at most the number of images, 24"):
        silent(changed(batch_size=25), photos, tmp_path / "run")
    with pytest.raises(ValueError, match=r"`strategy` must be one of .*Received: strategy='many'"):
        train(TINY, photos, tmp_path / "run", "many")


def test_validation_must_have_the_classes_of_training(tmp_path):
    draw(tmp_path / "train", {"blue": 4, "red": 4})
    draw(tmp_path / "test", {"blue": 2, "green": 2})
    config = changed(train_split="train", validation_split="test")
    with pytest.raises(ConfigError, match=r"Validation must have .*not one class of it: 'green'"):
        silent(config, tmp_path, tmp_path / "run")


def test_validation_finds_the_classes_of_training_by_name(tmp_path):
    draw(tmp_path / "train", {"blue": 2, "green": 2, "red": 2})
    draw(tmp_path / "test", {"red": 1})
    lines = []
    config = changed(train_split="train", validation_split="test")
    data = read_training_data(config, str(tmp_path), lines.append)
    assert data.validation.class_names == ("blue", "green", "red")
    assert data.validation.labels.tolist() == [2]
    assert lines == ["Classes are matched by name: 'red', class 0 of the data, is class 2 of the model."]


def test_validation_on_training_images_is_refused(tmp_path):
    draw(tmp_path / "train", {"blue": 2, "red": 2})
    with pytest.raises(
        ConfigError, match=r"`validation_split` must not share images. Received: 4 images in both"
    ):
        silent(changed(train_split="train", validation_split="train"), tmp_path, tmp_path / "run")


def test_without_a_readable_image_the_run_ends_with_the_reason(tmp_path):
    draw(tmp_path / "photos", {"blue": 2, "red": 2})
    for path in (tmp_path / "photos").rglob("*.jpg"):
        path.write_bytes(b"no photo")
    with pytest.raises(AnnotationError, match=r"None of the 4 images .* can be read: .*not an image"):
        silent(TINY, tmp_path / "photos", tmp_path / "run")


def test_images_that_cannot_be_read_are_counted_and_named(photos, tmp_path):
    draw(tmp_path / "photos", {"blue": 4, "red": 4})
    (tmp_path / "photos" / "red" / "2.jpg").write_bytes(b"no photo")
    silent(TINY, tmp_path / "photos", tmp_path / "run")
    card = (tmp_path / "run" / "README.md").read_text()
    assert "1 training images could not be read: " in card
    assert "2.jpg: not an image" in card


@pytest.mark.parametrize(
    "values",
    [
        {"precision": "mixed_bfloat16"},
        {"precision": "mixed_float16", "stages": (Stage(epochs=1, learning_rate=0.01, ema=0.5),)},
        {"multi_label": True},
        {"non_negative_head": True, "attention_dropout": ("conv5",), "cache": "memory"},
        {"stages": (Stage(1, 0.01, augmentation=Augmentation(cutmix=1.0)),), "jit_compile": True},
        {"pooling": "max", "stages": (Stage(2, 1e-3, schedule="step", step_epochs=1),)},
    ],
    ids=lambda values: "-".join(values),
)
def test_every_option_trains(photos, tmp_path, values):
    policy = keras.config.dtype_policy()
    trained = silent(changed(**values), photos, tmp_path)
    assert np.isfinite(trained.history[-1]["loss"])
    assert keras.config.dtype_policy() == policy
    if values.get("non_negative_head"):
        assert trained.model.get_layer("head").kernel.numpy().min() >= 0
    if values.get("multi_label"):
        assert "mean_average_precision" in trained.history[-1]
        assert (
            keras_cam.build_localizer(trained.model).get_layer("scores").activation
            is keras.activations.sigmoid
        )


def moved_weights(start, trained):
    pairs = zip(start.weights, trained.weights, strict=True)
    return {before.path for before, after in pairs if not np.array_equal(before, after)}


@pytest.mark.filterwarnings("ignore:The map has one cell")
def test_a_frozen_network_changes_its_head_alone_and_a_frozen_norm_stays(tmp_path, photos):
    config = changed(
        model="efficientnet_lite0",
        backbone_weights="imagenet",
        head_filters=None,
        image_size=(32, 32),
        stages=(Stage(1, 0.1, batch_norm="frozen"),),
    )
    keras.utils.set_random_seed(0)
    start = build_classifier(config, ("blue", "green", "red"))
    trained = silent(config, photos, tmp_path / "all").model
    moved = moved_weights(start, trained)
    assert {"head/kernel", "top_conv/kernel", "block9_depthwise_conv/kernel", "stem_conv/kernel"} <= moved
    assert not [path for path in moved if path.endswith(("gamma", "beta", "moving_mean", "moving_variance"))]
    head = dataclasses.replace(config, stages=(Stage(1, 0.1, trains="head"),))
    trained = silent(head, photos, tmp_path / "head").model
    assert moved_weights(start, trained) == {"head/kernel", "head/bias"}


def test_plain_keras_fit_does_the_same_first_epoch(photos, tmp_path):
    """One batch an epoch, so that the order within it does not matter."""
    config = changed(batch_size=24, stages=(Stage(1, 0.01, optimizer="adamw", schedule="constant"),))
    ours = silent(config, photos, tmp_path)
    keras.utils.set_random_seed(config.seed)
    model = build_classifier(config, ("blue", "green", "red"))
    compile_classifier(model, config, keras.optimizers.AdamW(0.01, weight_decay=0.0))
    annotated = read_annotations(photos)
    from keras_cam.training.dataset import TrainingImages

    pixels = np.concatenate(
        [batch[0] for batch in TrainingImages(annotated, (67, 67), batch_size=24).in_order()]
    )
    history = model.fit(pixels, one_hot_labels(annotated), batch_size=24, epochs=1, verbose=0).history
    assert ours.history[0]["loss"] == pytest.approx(history["loss"][0], rel=1e-4)
    for one, other in zip(ours.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_command_says_what_is_wrong(photos, tmp_path, capsys):
    command = ["train", "--config", "cub10", "--data", str(photos), "--output", str(tmp_path / "run")]
    assert cli.main(["train"]) == 2
    assert "`data` must name the images" in capsys.readouterr().err
    assert cli.main([*command, "--config.epochs=3"]) == 2
    assert "--config.FIELD must name a field of the configuration" in capsys.readouterr().err
    assert cli.main([*command, "--config.batch_size=0"]) == 2
    assert "`batch_size` must be at least 1. Received: batch_size=0" in capsys.readouterr().err
    assert cli.main([*command, "--epochs=3"]) == 2
    assert "Unknown command line flag 'epochs'" in capsys.readouterr().err
    assert cli.main([*command, str(photos)]) == 2
    assert "`data` must be one path. Received: " in capsys.readouterr().err
    assert cli.main(["train", str(tmp_path / "nowhere"), "--config", "cub10"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert cli.main(["train", "--help"]) == 0
    assert "--strategy" in capsys.readouterr().out


def test_both_commands_take_the_same_flags(photos, tmp_path, capsys):
    file = tmp_path / "tiny.py"
    file.write_text(
        "from keras_cam.training import Stage, TrainingConfig\n"
        "def get_config():\n"
        "    return TrainingConfig(\n"
        "        (Stage(9, 0.01),), model='alexnet_gap', head_filters=8, image_size=(67, 67),\n"
        "        pooling='max', batch_size=4, train_split=None, validation_split=None)\n"
    )
    flags = [f"--config={file}", "--config.stages[0].epochs=2", "--config.batch_size", "8"]
    assert cli.main(["train", str(photos), *flags, f"--output={tmp_path / 'one'}"]) == 0
    assert "epoch 2 of 2" in capsys.readouterr().out
    done = run_python("-m", "keras_cam.training", photos, *flags, f"--output={tmp_path / 'other'}")
    assert done.returncode == 0, done.stderr
    assert "epoch 2 of 2" in done.stderr  # by absl.logging
    done = run_python("-m", "keras_cam.training", photos, *flags, "--config.batchsize=8")
    assert done.returncode == 1
    assert "--config.FIELD must name a field of the configuration" in done.stderr
    assert "Traceback" not in done.stderr
    one, other = (tmp_path / name / "run.json" for name in ("one", "other"))
    assert one.read_text() == other.read_text()
    card = (tmp_path / "one" / "README.md").read_text()
    assert f"keras-cam train {photos} --config={file} '--config.stages[0].epochs=2'" in card
    # Networks that pool by the maximum have no class activation maps.
    assert 'load_model("model.keras")' in card
    assert not (tmp_path / "one" / "localizer.keras").exists()


def test_a_folder_of_photos_is_all_that_training_needs(tmp_path, capsys):
    folder = draw(tmp_path / "photos", {"blue": 10, "green": 10, "red": 5})
    changes = ["--config.model=mobilenet_v2", "--config.backbone_weights=None", "--config.output_stride=None"]
    changes += ["--config.image_size=(64, 64)", "--config.stages[0].epochs=1", "--config.stages[1].epochs=9"]
    # With a learning rate of almost nothing, the second epoch of the second stage cannot be better.
    changes += ["--config.stages[1].learning_rate=1e-9", "--config.pictures=1"]
    assert cli.main(["train", str(folder), "--output", str(tmp_path / "run"), *changes]) == 0
    said = capsys.readouterr().out
    assert "5 of 25 images, 20% of each class, are held back for validation" in said
    assert "No better after 1 validations: the stage ends early." in said
    assert f"keras-cam localize photos/ --model {tmp_path}/run/localizer.keras" in said
    localizer = keras.models.load_model(tmp_path / "run" / "localizer.keras")
    assert "foreground_maps" in [layer.name for layer in localizer.layers]
    with open(tmp_path / "run" / "history.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 3


def test_validation_photos_are_held_back_in_each_class_and_always_the_same(tmp_path):
    folder = draw(tmp_path / "photos", {"blue": 10, "green": 2, "red": 1})
    config = changed(train_split="auto", validation_split="auto")
    first, again = (read_training_data(config, str(folder)) for _ in range(2))
    assert first.validation is not None
    assert np.bincount(first.validation.labels).tolist() == [2, 1]  # a single image is trained on
    assert not {image.name for image in first.train} & {image.name for image in first.validation}
    assert [image.name for image in first.validation] == [image.name for image in again.validation]
    (folder / "red").rename(folder / "train")  # a class, and not a split
    assert read_training_data(config, str(folder)).labels == ("blue", "green", "train")
    splits = tmp_path / "splits"
    draw(splits / "train", {"blue": 2, "red": 2})
    draw(splits / "test", {"blue": 3, "red": 3})
    data = read_training_data(config, str(splits))
    assert (len(data.train), len(data.validation)) == (4, 6)


def test_the_output_must_be_a_folder(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"`output` must be a folder\. Received: .*file, which is a file"):
        silent(TINY, photos, tmp_path / "file")


def test_training_without_validation_is_asked_for_by_name(photos):
    run = parse_run(["train", str(photos), "--validation", "none"])
    assert (run.config.validation_split, run.config.select) == (None, "last")
    assert parse_run(["train", str(photos), "--validation=0.3"]).config.validation_split == 0.3


def test_a_damaged_run_json_is_one_line(photos, tmp_path):
    (tmp_path / "run.json").write_bytes(b'{"config": \xff')
    with pytest.raises(
        ConfigError, match=r"run\.json is damaged \(.*\)\. Use another folder for this run\.$"
    ):
        silent(TINY, photos, tmp_path)


def test_the_module_ends_a_stopped_run_with_one_line(monkeypatch):
    code = """
import sys
from keras_cam.training import StoppedError, command
def stop(*_):
    raise StoppedError("Training stopped.")
command.train_run, command.run_of = stop, lambda *_: None
import runpy
sys.argv = ["keras_cam.training", "photos"]
runpy.run_module("keras_cam.training", run_name="__main__", alter_sys=True)
"""
    done = run_python("-c", code)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Training stopped."
    assert "Traceback" not in done.stderr
