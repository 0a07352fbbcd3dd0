"""Commands that are killed at random moments lose nothing and leave nothing half-written: `make sweep`."""

import csv
import json
import multiprocessing.connection
import time

import keras
import numpy as np
import pytest
from skimage import data

import keras_cam
from keras_cam import load_localizer, localize_files
from keras_cam.images.files import read_image, write_png
from keras_cam.training.checkpoints import Checkpoints, read_checkpoint
from processes import start_keras_cam

pytestmark = pytest.mark.sweep

SEED, KILLS, KILLS_BETWEEN_RUNS = 0, 50, 5


@pytest.fixture(scope="module")
def model(colour_classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "colours.keras"
    keras_cam.build_localizer(colour_classifier, labels=["red", "green", "blue"]).save(path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder a class, ten photos in each."""
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in (("green", (30, 160, 60)), ("red", (160, 30, 60))):
        (folder / name).mkdir()
        for index in range(10):
            pixels = np.random.default_rng(index).normal(colour, 40, (70, 80, 3)).clip(0, 255)
            write_png(folder / name / f"{name}{index}.png", pixels.astype(np.uint8))
    return folder


class Killer:
    """Runs one command again and again, and kills some of the runs.

    Args:
        arguments: of `keras-cam`, up to and with `--output`.
        folder: where the log of a run goes.
    """

    def __init__(self, arguments, folder):
        self._arguments, self._log = arguments, folder / "log.txt"
        self._rng, self.kills, self.seconds = np.random.default_rng(SEED), 0, 0.0

    def finish(self, output):
        """Run the command to its end."""
        started = time.monotonic()
        process = start_keras_cam([*self._arguments, output], self._log)
        process.join(600)
        assert process.exitcode == 0, self._log.read_text()[-2000:]
        self.seconds = time.monotonic() - started

    def kill(self, output, watched):
        """Start the command and kill it: every second time at any moment, else while it is writing.

        Returns:
            Whether it was killed, not finished before.
        """
        before = _state(watched)
        process = start_keras_cam([*self._arguments, output], self._log)
        if self.kills % 2:
            process.join(self._rng.uniform(0, 1) * self.seconds)
        while self.kills % 2 == 0 and process.is_alive() and _state(watched) == before:
            multiprocessing.connection.wait([process.sentinel], 0.001)
        process.join(self._rng.uniform(0, 0.05) if self.kills % 2 == 0 else 0)
        was_alive = process.is_alive()
        process.kill()  # SIGKILL
        process.join()
        assert was_alive or process.exitcode == 0, self._log.read_text()[-2000:]
        self.kills += was_alive
        return was_alive


def _state(folder):
    """What changes when something in a folder is written."""
    entries = []
    for path in folder.rglob("*"):
        try:
            entries.append((path, path.stat().st_mtime_ns))
        except FileNotFoundError:  # gone in between
            continue
    return sorted(entries)


def visible_files(folder):
    """The files whose names, and those of their folders, do not begin with a dot."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [
        path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


# Commands that write files which are always the same --------------------------------------------------------


def assert_same_content(file, expected):
    """Whether a file is whole: it holds what it holds after an undisturbed run."""
    if file.suffix == ".png":
        np.testing.assert_array_equal(read_image(file), read_image(expected))
    elif file.suffix == ".npz":
        ours, theirs = np.load(file), np.load(expected)
        assert ours.files == theirs.files
        for name in ours.files:
            np.testing.assert_array_equal(ours[name], theirs[name])
    elif file.suffix == ".json":
        assert without_speed(json.loads(file.read_text())) == without_speed(json.loads(expected.read_text()))
    elif file.suffix == ".html":  # the speed is in there, too
        assert file.read_text().endswith("</html>\n")
    else:
        assert file.read_bytes() == expected.read_bytes()


def without_speed(value):
    """The content of a JSON file without what differs from run to run."""
    if isinstance(value, list):
        return [without_speed(entry) for entry in value]
    if isinstance(value, dict):
        return {key: without_speed(entry) for key, entry in value.items() if key != "images_per_second"}
    return value


# What is run, up to and with the option that names the output, and the output in its folder.
COMMANDS = {
    "evaluate": (["evaluate", "--data", "PHOTOS", "--model", "MODEL", "--output"], "results"),
    "features": (["features", "--data", "PHOTOS", "--model", "MODEL", "--output"], "features.npz"),
    "localize": (["localize", "PHOTOS", "--model", "MODEL", "--output"], "pictures"),
    "localize to COCO JSON": (
        ["localize", "PHOTOS", "--model", "MODEL", "--format", "coco", "--output"],
        "boxes.json",
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_killed_command_wrote_is_whole(command, model, photos, tmp_path, report_count):
    arguments, name = COMMANDS[command]
    places = {"PHOTOS": photos, "MODEL": model}
    killer = Killer([places.get(argument, argument) for argument in arguments], tmp_path)
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    folder.mkdir()
    killer.finish(undisturbed / name)
    killer.finish(undisturbed / name)  # everything is in memory now, so this is the usual duration
    expected = {path.relative_to(undisturbed) for path in visible_files(undisturbed)}
    assert expected
    while killer.kills < KILLS:
        if killer.kill(folder / name, folder) and killer.kills % KILLS_BETWEEN_RUNS == 0:
            # What a killed run leaves behind does not hinder the next one.
            killer.finish(folder / name)
            assert {path.relative_to(folder) for path in visible_files(folder)} == expected
        for path in visible_files(folder):
            if ".parts" not in path.parent.suffixes:  # what the next run need not do again
                assert_same_content(path, undisturbed / path.relative_to(folder))
    report_count(f"kills of {command}", killer.kills)


# Export -----------------------------------------------------------------------------------------------------


EXPORTS = {"saved_model": "cam", "litert": "cam.tflite", "onnx": "cam.onnx"}


@pytest.mark.parametrize(("form", "name"), EXPORTS.items())
def test_an_export_killed_at_random_moments_is_whole_or_absent(model, tmp_path, form, name, report_count):
    killer = Killer(["export", "--model", model, "--format", form, "--output"], tmp_path)
    photo, undisturbed = tmp_path / "photo.png", tmp_path / "undisturbed"
    write_png(photo, data.astronaut())
    undisturbed.mkdir()
    killer.finish(undisturbed / name)
    [expected] = localize_files(load_localizer(undisturbed / name), [photo])
    turn, folder = 0, tmp_path / "0"
    while killer.kills * len(EXPORTS) < KILLS:
        folder.mkdir(exist_ok=True)
        killed = killer.kill(folder / name, folder)
        if visible_files(folder):
            [record] = localize_files(load_localizer(folder / name), [photo])
            assert record.to_dict() == expected.to_dict()
            turn, folder = turn + 1, tmp_path / str(turn + 1)
        elif killed and killer.kills % KILLS_BETWEEN_RUNS == 0:
            killer.finish(folder / name)
            turn, folder = turn + 1, tmp_path / str(turn + 1)
    report_count(f"kills of export to {form}", killer.kills)


# Training ---------------------------------------------------------------------------------------------------

RUN = """
from keras_cam.training import Augmentation, Stage, TrainingConfig

def get_config():
    return TrainingConfig(
        stages=(
            Stage(epochs=3, learning_rate=0.01, trains="head"),
            Stage(epochs=5, learning_rate=0.002, ema=0.9, augmentation=Augmentation(flip=True, mixup=0.2)),
        ),
        model="alexnet_gap", head_filters=8, dropout=0.3, image_size=(67, 67), batch_size=4,
        train_split=None, validation_split=None, checkpoint_every=1,
    )
"""


def losses(folder):
    return [row["loss"] for row in csv.DictReader((folder / "history.csv").read_text().splitlines())]


def test_training_survives_kills_at_random_moments(photos, tmp_path, report_count):
    (tmp_path / "run.py").write_text(RUN)
    arguments = ["train", "--config", tmp_path / "run.py", "--data", photos]
    killer = Killer([*arguments, "--strategy", "one_device", "--output"], tmp_path)
    killer.finish(tmp_path / "undisturbed")
    killed, finished = tmp_path / "killed", []
    while killer.kills < KILLS or not finished:
        if killer.kills >= KILLS:
            killer.finish(killed)
        elif killer.kill(killed, killed):
            for path in Checkpoints(killed / "checkpoints").paths():
                read_checkpoint(path)
            if (killed / "model.keras").exists():
                keras.models.load_model(killed / "model.keras")
            continue
        finished.append(killed.rename(tmp_path / f"finished{len(finished)}"))
    expected = keras.models.load_model(tmp_path / "undisturbed" / "model.keras").get_weights()
    for folder in finished:
        for ours, theirs in zip(
            keras.models.load_model(folder / "model.keras").get_weights(), expected, strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
        assert losses(folder) == losses(tmp_path / "undisturbed")
        assert len(list((folder / "checkpoints").iterdir())) == 2  # nothing unfinished is left
    report_count("kills of train", killer.kills)
