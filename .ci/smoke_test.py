"""A user's first minutes with the installed package. Run with an environment that has only the wheel."""

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import keras
import numpy as np
import skimage

import keras_cam
from keras_cam.images.files import read_image

PHOTO = Path(skimage.data_dir) / "chelsea.png"
CAT = 285


def main() -> None:
    """Runs all checks in a temporary folder."""
    installed = Path(sysconfig.get_path("purelib")) / "keras_cam" / "__init__.py"
    assert Path(keras_cam.__file__).samefile(installed), keras_cam.__file__
    with tempfile.TemporaryDirectory() as folder:
        check_library(Path(folder))
        check_command_line(Path(folder))


def check_library(folder: Path) -> None:
    """A classifier is built, localizes the cat, and does so after having been saved and loaded."""
    classifier = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
    localizer = keras_cam.build_localizer(classifier)
    photo = read_image(PHOTO)
    images = keras.ops.image.resize(photo[None], (224, 224), antialias=True)
    out = localizer.predict(images, verbose=0)
    assert out["detection_classes"][0, 0] == CAT, out
    localizer.save(folder / "localizer.keras")
    again = keras.models.load_model(folder / "localizer.keras").predict(images, verbose=0)
    for name, values in out.items():
        np.testing.assert_allclose(again[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def check_command_line(folder: Path) -> None:
    """Every command works and leaves what it says."""
    assert "localize" in keras_cam_command(folder, "--help")
    assert "efficientnet_lite0" in keras_cam_command(folder, "models")
    record = json.loads(keras_cam_command(folder, "localize", "--json", "--output", "pictures", str(PHOTO)))
    assert record["detections"][0]["class_id"] == CAT, record
    assert (folder / "pictures" / "chelsea_cam.jpg").stat().st_size
    own = json.loads(
        keras_cam_command(folder, "localize", "--json", "--model", "localizer.keras", str(PHOTO))
    )
    assert own["detections"][0]["class_id"] == CAT, own
    print(keras_cam_command(folder, "demo"))
    assert (folder / "keras-cam-output" / "gallery.png").stat().st_size


def keras_cam_command(folder: Path, *arguments: str) -> str:
    """What `keras-cam` prints; it has to succeed, and without a word on stderr."""
    command = [str(Path(sys.executable).with_name("keras-cam")), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), (command, done)
    return done.stdout


if __name__ == "__main__":
    main()
