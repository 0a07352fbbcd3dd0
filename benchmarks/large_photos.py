"""JPEGs of 24 megapixels: decoding them at a reduced scale against decoding them whole.

    python benchmarks/large_photos.py [--model NAME|FILE] [--turns 3]

Both read and resize photos to 320 x 320 by turns; the times are CPU time. Then one localizer localizes what
came of both, and the sides of its boxes are compared, in pixels of its input. The photos are scikit-image's,
enlarged to 6000 x 4000, with the noise of a camera.
"""

import argparse
import io
import statistics
import time

import numpy as np
from PIL import Image
from skimage import data

from keras_cam import load_localizer
from keras_cam.images.files import decode_image, read_reduced
from keras_cam.images.resize import resize
from keras_cam.inference.load import DEFAULT_MODEL
from turns import ratios, times_by_turns

PHOTOS = (data.astronaut, data.chelsea, data.coffee, data.rocket)
SIZE_WH, SIZE_HW = (6000, 4000), (320, 320)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|FILE")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    files = [jpeg(make(), seed) for seed, make in enumerate(PHOTOS)]
    calls = {
        "whole": lambda: [resize(decode_image(file, "photo"), SIZE_HW) for file in files],
        "reduced": lambda: [resize(read_reduced(file, SIZE_HW).pixels, SIZE_HW) for file in files],
    }
    times = times_by_turns(calls, 0, arguments.turns, warm_up=0, clock=time.process_time)
    for name, found in times.items():
        print(f"{name:<8} {1e3 * statistics.median(found) / len(files):7.0f} ms a photo")
    medians, best = ratios(times["whole"], times["reduced"])
    print(f"reduced is {medians:.1f} times as fast by medians, {best:.1f} by the best turns")
    localizer = load_localizer(arguments.model)
    one, other = (localizer.localize(np.stack(call()))["detection_boxes"][:, 0] for call in calls.values())
    print(f"boxes of the best class differ by {np.abs(one - other).max() * SIZE_HW[0]:.2f} pixels at most")


def jpeg(photo: np.ndarray, seed: int) -> bytes:
    """A large version of a photo."""
    large = np.asarray(Image.fromarray(photo).resize(SIZE_WH, Image.Resampling.BICUBIC), np.int16)
    noise = np.random.default_rng(seed).integers(-6, 7, large.shape, np.int16)
    file = io.BytesIO()
    Image.fromarray((large + noise).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main()
