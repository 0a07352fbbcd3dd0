"""Draws what each map method sees in one photo: maps of one class, and the boxes of the paper's rule.

    python examples/methods_picture.py [PHOTO] [PICTURE]

By default a motorcycle that comes with scikit-image, and `methods.jpg`. The head of the network is linear:
its `gradcam`, `hirescam` and `xgradcam` are the class activation map, `cam`. The last map is the refined one.
"""

import argparse

import numpy as np
from skimage import data_dir

import keras_cam
from keras_cam.drawing import gallery, overlay
from keras_cam.images.files import read_image, write_picture

METHODS = (
    "cam",
    "gradcam++",
    "layercam",
    "elementwise",
    "eigengradcam",
    "eigencam",
    "scorecam",
    "ablationcam",
    "reciprocam",
    "finer:gradcam",
    "augment:cam",
)


def main(photo_path: str, picture_path: str) -> None:
    """Draws the picture."""
    photo = read_image(photo_path)
    model = keras_cam.build_model("efficientnet_lite0", weights="imagenet", input_shape=(320, 320, 3))
    [plain] = keras_cam.localize(photo, keras_cam.build_localizer(model, top_k=1, refine="none"))
    class_ids = [plain.detections[0].class_id]
    settings = {method: {"method": method, "refine": "none"} for method in METHODS} | {"refined": {}}
    cells = [
        cell(photo, name, keras_cam.build_localizer(model, class_ids=class_ids, **options))
        for name, options in settings.items()
    ]
    write_picture(picture_path, gallery(cells, columns=4, cell_wh=(250, 170), margin=6))


def cell(photo: np.ndarray, name: str, localizer) -> np.ndarray:
    """The photo with the map and box of a localizer, and the name of its method."""
    [record] = keras_cam.localize(photo, localizer)
    [detection] = record.detections
    return overlay(photo, detection.activation_map, [detection.box_xyxy], [name])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo_path", nargs="?", metavar="photo", default=f"{data_dir}/motorcycle_left.png")
    parser.add_argument("picture_path", nargs="?", metavar="picture", default="methods.jpg")
    main(**vars(parser.parse_args()))
