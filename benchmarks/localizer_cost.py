"""What maps and boxes cost: a localizer against its bare classifier, in one run.

    python benchmarks/localizer_cost.py [--models vgg16_gap resnet50 ...] [--batch-sizes 1 8 32]

Both run inside `tf.function`, by turns, on the same photos from scikit-image. Two ratios are printed: of the
median times, and of the shortest, which other work on the machine disturbs least. Weights are random unless
they install with pip, which does not change the cost of a convolution.
"""

import argparse
import statistics
from collections.abc import Callable

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from skimage import data  # noqa: E402

import keras_cam  # noqa: E402
from turns import ratios, times_by_turns  # noqa: E402

MODELS = ("vgg16_gap", "resnet50", "mobilenet_v2", "efficientnet_lite0")
PHOTOS = (data.astronaut, data.chelsea, data.coffee, data.rocket)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=(1, 8, 32))
    parser.add_argument("--seconds", type=float, default=20.0, help="for each model and batch size")
    arguments = parser.parse_args()
    print(f"{'model':<20} {'batch':>5} {'classifier':>12} {'localizer':>12} {'medians':>8} {'best':>6} pairs")
    for name in arguments.models:
        pretrained = name.startswith("efficientnet_lite")
        model = keras_cam.build_model(name, weights="imagenet" if pretrained else None)
        localizer = keras_cam.build_localizer(model, top_k=5, refine="none")
        for batch_size in arguments.batch_sizes:
            images = photos(batch_size, model.input_shape[1:3])
            calls = {"classify": evaluated(model, images), "localize": evaluated(localizer, images)}
            classify, localize = times_by_turns(calls, arguments.seconds, warm_up=3).values()
            medians, shortest = ratios(localize, classify)
            print(
                f"{name:<20} {batch_size:>5} {statistics.median(classify) * 1e3:>9.2f} ms "
                f"{statistics.median(localize) * 1e3:>9.2f} ms "
                f"{medians:>8.3f} {shortest:>6.3f} {len(classify):>5}",
                flush=True,
            )


def photos(count: int, size_hw: tuple[int, int]) -> tf.Tensor:
    resized = [tf.image.resize(photo(), size_hw) for photo in PHOTOS]
    return tf.stack([resized[index % len(resized)] for index in range(count)])


def evaluated(model: keras.Model, images: tf.Tensor) -> Callable[[], object]:
    """The model on the images, with its outputs fetched."""
    call = tf.function(model)
    return lambda: tf.nest.map_structure(lambda tensor: tensor.numpy(), call(images))


if __name__ == "__main__":
    main()
