"""Boxes of small objects in large photos: plain maps, refined maps, and a second look.

    python benchmarks/second_look.py --data ilsvrc_val_dev [--photos 150] [--size 2000]

The photos are made: an object of the data, the content of its only box, is pasted into a photo of
scikit-image of `--size` pixels, at a random place, over 1 to 10 % of its area. A box is right if its IoU with
the pasted object is at least 0.5; the class is given. The second look is taken once in the network's input,
and once in the photo itself.
"""

import argparse
from collections.abc import Iterator
from itertools import pairwise

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import numpy as np  # noqa: E402
import skimage  # noqa: E402

import keras_cam  # noqa: E402
from keras_cam.data import AnnotatedImages, read_annotations  # noqa: E402
from keras_cam.images.resize import resize  # noqa: E402
from keras_cam.inference import KerasLocalizer  # noqa: E402
from keras_cam.inference.photo_crops import photo_crops  # noqa: E402
from keras_cam.metrics import MeanBoxIoU  # noqa: E402

BACKGROUNDS = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
    "hubble_deep_field",
    "retina",
    "grass",
    "gravel",
    "brick",
)
AREAS = (0.01, 0.02, 0.05, 0.1)
RIGHT = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--photos", type=int, default=150)
    parser.add_argument("--size", type=int, default=2000, help="the longer side of a photo in pixels")
    arguments = parser.parse_args()
    plain, refined, again = (
        keras_cam.load_localizer(arguments.model, refine=refine) for refine in ("none", "B32", "look_again")
    )
    ways = {
        "none": (plain, False),
        "B32": (refined, False),
        "look_again, input": (again, False),
        "look_again, photo": (again, True),
    }
    right: dict[str, list[bool]] = {way: [] for way in ways}
    areas = []
    for photo, label, box in composed(read_annotations(arguments.data), arguments.photos, arguments.size):
        areas.append((box[2] - box[0]) * (box[3] - box[1]))
        for way, (localizer, in_photo) in ways.items():
            right[way].append(iou(localizer, photo, label, box, in_photo) >= RIGHT)
    report(np.array(areas), right)


def composed(
    annotated: AnnotatedImages, count: int, size: int
) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Photos uint8 (H, W, 3), the class of their object, and its box as ymin, xmin, ymax, xmax in [0, 1]."""
    random = np.random.default_rng(0)
    single = [image for image in annotated if len(image.boxes_xyxy) == 1]
    backgrounds = [background(name, size) for name in BACKGROUNDS]
    for index in random.permutation(len(single))[:count]:
        image = single[index]
        left, top, right, bottom = image.boxes_xyxy[0].round().astype(int)
        thing = image.read()[top:bottom, left:right]
        photo = backgrounds[random.integers(len(backgrounds))].copy()
        height, width = photo.shape[:2]
        area = np.exp(random.uniform(np.log(AREAS[0]), np.log(AREAS[-1])))
        scale = np.sqrt(area * height * width / (thing.shape[0] * thing.shape[1]))
        h, w = (
            min(int(side * scale), most) for side, most in zip(thing.shape, photo.shape[:2], strict=False)
        )
        y, x = random.integers(height - h + 1), random.integers(width - w + 1)
        photo[y : y + h, x : x + w] = resize(thing, (h, w)).astype(np.uint8)
        yield photo, image.label, np.array([y / height, x / width, (y + h) / height, (x + w) / width])


def background(name: str, size: int) -> np.ndarray:
    photo = getattr(skimage.data, name)()
    photo = np.stack([photo] * 3, axis=-1) if photo.ndim == 2 else photo
    height, width = (round(side * size / max(photo.shape)) for side in photo.shape[:2])
    return resize(photo, (height, width)).astype(np.uint8)


def iou(localizer: KerasLocalizer, photo: np.ndarray, label: int, box: np.ndarray, in_photo: bool) -> float:
    crop = photo_crops([lambda: photo], localizer.size_hw) if in_photo else None
    images = resize(photo, localizer.size_hw)[None]
    found = localizer.classify_and_cam(images, [[label]], 1, crop)["detection_boxes"][:, :1]
    return float(np.asarray(MeanBoxIoU().per_image(box[None, None], found))[0])


def report(areas: np.ndarray, right: dict[str, list[bool]]) -> None:
    bands = [(low, high) for low, high in pairwise(AREAS)]
    print(
        f"{'area of the object':<20}" + "".join(f"{low:>6.0%}-{high:<4.0%}" for low, high in bands) + "   all"
    )
    inside = [(areas >= low) & (areas < high) for low, high in bands]
    print(f"{'photos':<20}" + "".join(f"{band.sum():>11}" for band in inside) + f"{len(areas):>6}")
    for way, outcomes in right.items():
        rates = [np.array(outcomes)[band].mean() for band in inside]
        print(f"{way:<20}" + "".join(f"{rate:>11.1%}" for rate in rates) + f"{np.mean(outcomes):>7.1%}")


if __name__ == "__main__":
    main()
