"""MediaPipe's `ObjectDetector` opens the file and finds what LiteRT finds."""

import json
import sys
import venv

import keras
import numpy as np
import pytest
import skimage
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

import keras_cam
from keras_cam.export import save_litert, save_mediapipe
from keras_cam.images.files import read_image
from keras_cam.images.resize import resize
from keras_cam.inference import LiteRTLocalizer
from processes import run

DETECT = """
import json, sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision

options = vision.ObjectDetectorOptions(BaseOptions(model_asset_path=sys.argv[1]), max_results=5)
with vision.ObjectDetector.create_from_options(options) as detector:
    detections = detector.detect(mediapipe.Image.create_from_file(sys.argv[2])).detections
rows = []
for detection in detections:
    best, box = detection.categories[0], detection.bounding_box
    rows.append([best.category_name, best.score, box.origin_x, box.origin_y, box.width, box.height])
print(json.dumps(rows))
"""


def spiral(side):
    """A line that winds from the corner to the middle, one node wide."""
    grid, y, x, step = np.zeros((side, side)), 0, 0, (0, 1)
    grid[0, 0] = 1

    def is_free(y, x):
        return 0 <= y < side and 0 <= x < side and not grid[y, x]

    turns = 0
    while turns < 2:
        dy, dx = step
        beyond = (y + 2 * dy, x + 2 * dx)
        inside = 0 <= beyond[0] < side and 0 <= beyond[1] < side
        if is_free(y + dy, x + dx) and (not inside or not grid[beyond]):
            y, x, turns = y + dy, x + dx, 0
            grid[y, x] = 1
        else:
            step, turns = (dx, -dy), turns + 1
    return grid


def test_components_that_wind_stay_whole_without_a_loop(tmp_path):
    layers = keras.layers
    head = layers.Dense(3, kernel_initializer="identity")  # each map is a channel of the image
    model = keras.Sequential(
        [keras.Input((20, 20, 3)), layers.Rescaling(1 / 255), layers.GlobalAveragePooling2D(), head]
    )
    localizer = keras_cam.build_localizer(model, class_ids=[0, 1, 2], threshold=0.5)
    snake = np.zeros((20, 20))
    snake[::2] = 1
    snake[1::4, -1] = snake[3::4, 0] = 1
    image = 255 * np.stack([spiral(20), snake, snake.T], axis=-1)[None].astype("float32")
    interpreter = Interpreter(str(save_mediapipe(localizer, tmp_path / "mediapipe.tflite")))
    assert interpreter.num_subgraphs() == 1
    found = interpreter.get_signature_runner("localize")(images=image)
    expected = LiteRTLocalizer(save_litert(localizer, tmp_path / "litert.tflite")).localize(image)
    assert expected["detection_boxes"][0, 1].tolist() == pytest.approx([0, 0, 1, 1], abs=0.03)
    assert set(found) == {"detection_boxes", "detection_classes", "detection_scores", "num_detections"}
    assert all(values.dtype == np.float32 for values in found.values())
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def python_with_mediapipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mediapipe") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    installed = run(python, "-m", "pip", "install", "-q", "mediapipe")
    if installed.returncode:
        pytest.skip("mediapipe could not be installed")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"refine": "affinity"}], ids=["plain", "refined"])
def test_mediapipe_gives_the_same_detections(options, python_with_mediapipe, tmp_path):
    model = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
    localizer = keras_cam.build_localizer(model, **options)
    pixels = resize(read_image(f"{skimage.data_dir}/coffee.png"), (224, 224)).round().astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    file = save_mediapipe(localizer, tmp_path / "mediapipe.tflite")
    command = [python_with_mediapipe, "-c", DETECT, file, tmp_path / "photo.png"]
    done = run(*command)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    lite = LiteRTLocalizer(save_litert(localizer, tmp_path / "litert.tflite"))
    expected = lite.localize(pixels[None].astype("float32"))
    names = [lite.labels[index] for index in expected["detection_classes"][0]]
    assert [row[0] for row in found] == names
    scores, boxes = [row[1] for row in found], np.array([row[2:] for row in found])
    np.testing.assert_allclose(scores, expected["detection_scores"][0], atol=1e-4)
    top, left, bottom, right = 224 * expected["detection_boxes"][0].T
    np.testing.assert_allclose(boxes, np.stack([left, top, right - left, bottom - top], axis=1), atol=1.01)
