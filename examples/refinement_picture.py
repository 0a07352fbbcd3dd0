"""Draws how maps are refined: a photo, its plain map, the affinity of one point, the refined map, boxes.

    python examples/refinement_picture.py [PHOTO] [PICTURE]

By default a motorcycle that comes with scikit-image, and `refinement.png`.
"""

import argparse

import keras
import numpy as np
from skimage import data_dir

import keras_cam
from keras_cam.drawing import overlay
from keras_cam.graph.localizer_parts import localizer_parts
from keras_cam.images.files import read_image, write_png
from keras_cam.ops.affinity import affinity
from keras_cam.ops.area_resize import area_resize

WIDTH = 360


def main(photo_path: str, picture_path: str) -> None:
    """Draws the picture."""
    photo = read_image(photo_path)
    height = round(WIDTH * photo.shape[0] / photo.shape[1])
    small = keras.ops.image.resize(photo[None], (height, WIDTH), "bicubic", antialias=True)
    small = np.clip(small[0], 0, 255).astype(np.uint8)
    images = keras.ops.image.resize(photo[None], (320, 320), "bicubic", antialias=True)
    model = keras_cam.build_model("efficientnet_lite0", weights="imagenet", input_shape=(320, 320, 3))

    panels = [overlay(small)]
    for refine, key in (("none", "class_activation_maps"), ("affinity", "localization_maps")):
        localizer = keras_cam.build_localizer(model, top_k=1, refine=refine)
        out = localizer(images)
        activation_map = np.asarray(out[key])[0, 0]
        ymin, xmin, ymax, xmax = (out["detection_boxes"][0, 0] * [height, WIDTH, height, WIDTH]).numpy()
        box = (xmin, ymin, xmax, ymax)
        if refine == "none":
            panels.append(overlay(small, activation_map, [box], ["the paper's rule"]))
            highest = np.unravel_index(activation_map.argmax(), activation_map.shape)
            point = [(place + 0.5) / size for place, size in zip(highest, activation_map.shape, strict=True)]
        else:
            panels.append(overlay(small, affinity_of(localizer, images, point)))
            panels.append(overlay(small, activation_map, [box], ["refined"]))
    write_png(picture_path, np.hstack(panels))


def affinity_of(localizer, images, point: list[float]) -> np.ndarray:
    """How much each position belongs to that at `point`, (y, x) in [0, 1], before it is squared: (h, w)."""
    front, _ = localizer_parts(localizer)
    *taps, _, _ = front(images)
    _, height, width, _ = taps[-1].shape
    vectors = [keras.ops.reshape(area_resize(tap, (height, width)), (1, height * width, -1)) for tap in taps]
    row = int(point[0] * height) * width + int(point[1] * width)
    return np.sqrt(np.asarray(affinity(vectors))[0, row]).reshape(height, width)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo_path", nargs="?", metavar="photo", default=f"{data_dir}/motorcycle_left.png")
    parser.add_argument("picture_path", nargs="?", metavar="picture", default="refinement.png")
    main(**vars(parser.parse_args()))
