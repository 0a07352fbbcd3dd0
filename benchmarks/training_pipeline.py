"""How fast training images come: against bare decoding of the same files, and against what a step needs.

    python benchmarks/training_pipeline.py [--data PATH] [--split train] [--size 224] [--seconds 60]

First line: images per second of the pipeline (random resized crop, flip, batches) against OpenCV's decoder,
which is libjpeg-turbo, on whole files that are in memory, on the same number of threads; in turns, in one
run, by wall time and by CPU time, which other work on the machine disturbs less. Second: steps per second of
EfficientNet-Lite0 on the pipeline against steps on a batch that is always there. Without --data the files are
photos of scikit-image, saved as JPEG at about the size of ImageNet's.
"""

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402
from skimage import data  # noqa: E402

from keras_cam.data import AnnotatedImage, AnnotatedImages, read_annotations  # noqa: E402
from keras_cam.images.processors import usable_processors  # noqa: E402
from keras_cam.training import Augmentation, Stage, TrainingConfig  # noqa: E402
from keras_cam.training.classifier import build_classifier, compile_classifier  # noqa: E402
from keras_cam.training.dataset import TrainingImages  # noqa: E402
from keras_cam.training.optimizer import build_optimizer  # noqa: E402
from training_blocks import block_of_steps  # noqa: E402
from turns import ratios, times_by_turns  # noqa: E402

PHOTOS = (data.astronaut, data.chelsea, data.coffee, data.rocket)
AUGMENTATION = Augmentation(crop_scale=(0.08, 1.0), flip=True)
BATCHES = 24
STEPS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="see `keras_cam.data.read_annotations`")
    parser.add_argument("--split", default="train")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each of the two comparisons")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        annotated = photos(Path(folder))
        if arguments.data:
            annotated = read_annotations(arguments.data, arguments.split)
        batch_size = min(arguments.batch_size, len(annotated))
        images = TrainingImages(annotated, (arguments.size, arguments.size), batch_size=batch_size)
        compare_decoding(images, arguments.seconds)
        compare_steps(images, arguments.seconds)


def compare_decoding(images: TrainingImages, seconds: float) -> None:
    threads = usable_processors()
    encoded = [np.frombuffer(image.encoded(), np.uint8) for image in images.annotated][:256]
    count = BATCHES * images.order.batch_size

    def pipeline() -> None:
        # As many batches as are asked for: nothing is read ahead into the other one's turn.
        for _ in images.batches(AUGMENTATION, 0, BATCHES):
            pass

    def bare() -> None:
        files = [encoded[place % len(encoded)] for place in range(count)]
        list(pool.map(lambda file: cv2.imdecode(file, cv2.IMREAD_COLOR), files))

    cv2.setNumThreads(1)
    with ThreadPoolExecutor(threads) as pool:
        settings = {"pipeline": pipeline, "bare": bare}
        times = times_by_turns(settings, seconds / 2, turns=3)
        work = times_by_turns(settings, seconds / 2, turns=3, clock=time.process_time)
    ours, theirs = (count / statistics.median(times[name]) for name in ("pipeline", "bare"))
    medians, best = ratios(times["bare"], times["pipeline"])
    of_work, best_work = ratios(work["bare"], work["pipeline"])
    print(
        f"pipeline {ours:.0f} images/s, bare decoding {theirs:.0f} images/s on {threads} threads: "
        f"{medians:.2f} by medians, {best:.2f} by the best of {len(times['bare'])} turns; "
        f"in CPU time {of_work:.2f} and {best_work:.2f}",
        flush=True,
    )


def compare_steps(images: TrainingImages, seconds: float) -> None:
    stage = Stage(1, 1e-3)
    config = TrainingConfig((stage,), model="efficientnet_lite0", image_size=images.size_hw)
    model = build_classifier(config, images.annotated.class_names)
    compile_classifier(model, config, build_optimizer(stage, 1000))
    [batch] = images.batches(AUGMENTATION, 0, 1)
    same = tf.data.Dataset.from_tensors(batch).repeat(STEPS)
    train_on = block_of_steps(model, STEPS, batch)
    settings = {
        "pipeline": lambda: train_on(images.batches(AUGMENTATION, 0, STEPS)),
        "same": lambda: train_on(same),
    }
    times = times_by_turns(settings, seconds, turns=3)
    fed, alone = (statistics.median(times[name]) / STEPS for name in ("pipeline", "same"))
    medians, best = ratios(times["same"], times["pipeline"])
    print(
        f"EfficientNet-Lite0, {images.order.batch_size} images: {fed * 1e3:.0f} ms a step on the pipeline, "
        f"{alone * 1e3:.0f} ms on the same batch: {medians:.3f} by medians, {best:.3f} by the best"
    )


def photos(folder: Path) -> AnnotatedImages:
    images = []
    for place in range(64):
        picture = Image.fromarray(PHOTOS[place % len(PHOTOS)]()).resize((500, 375))
        path = folder / f"{place}.jpg"
        picture.save(path, quality=90)
        images.append(AnnotatedImage(str(place), str(path), place % 2, (place % 2,)))
    return AnnotatedImages("scikit-image", ("even", "odd"), tuple(images))


if __name__ == "__main__":
    main()
