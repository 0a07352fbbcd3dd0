"""What refining maps costs: a localizer with refined maps against the same without, in one run.

    python benchmarks/refinement_cost.py [--models efficientnet_lite0 ...] [--batch-sizes 1 8] [--size 320]
        [--refine affinity]

Both take images of the same size and run inside `tf.function`, and as LiteRT files on one thread, by turns.
Two ratios are printed: of the median times, and of the shortest, which other work disturbs least. A recipe
that looks again is compared with two forward passes.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from skimage import data  # noqa: E402

import keras_cam  # noqa: E402
from keras_cam.export import save_litert  # noqa: E402
from keras_cam.inference.litert import LiteRTLocalizer  # noqa: E402
from keras_cam.recipes import RECIPES  # noqa: E402
from turns import ratios, times_by_turns  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=("efficientnet_lite0", "resnet50"))
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=(1, 8))
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--refine", choices=("affinity", *RECIPES), default="affinity")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each line")
    arguments = parser.parse_args()
    ways = ("none", arguments.refine)
    passes = 2 if arguments.refine in RECIPES and RECIPES[arguments.refine].looks_again else 1
    print(
        f"{'model':<20} {'runs in':<12} {'batch':>5} {'plain':>12} {'refined':>12} {'medians':>8} {'best':>6}"
    )
    for name in arguments.models:
        pretrained = "imagenet" if name.startswith("efficientnet_lite") else None
        shape = (arguments.size, arguments.size, 3)
        model = keras_cam.build_model(name, weights=pretrained, input_shape=shape)
        localizers = [keras_cam.build_localizer(model, refine=refine) for refine in ways]
        for batch_size in arguments.batch_sizes:
            images = tf.repeat(tf.image.resize(data.chelsea(), shape[:2])[None], batch_size, axis=0)
            calls = {
                "tf.function": [tf.function(one) for one in localizers],
                "LiteRT": [litert(one, batch_size) for one in localizers],
            }
            for kind, pair in calls.items():
                runs = {
                    refine: lambda call=call, images=images: tf.nest.map_structure(np.asarray, call(images))
                    for refine, call in zip(ways, pair, strict=True)
                }
                times = times_by_turns(runs, arguments.seconds).values()
                report(f"{name:<20} {kind:<12} {batch_size:>5}", *times, passes)


def litert(localizer, batch_size: int) -> Callable:
    with tempfile.TemporaryDirectory() as folder:
        file = save_litert(localizer, f"{folder}/cam.tflite", batch_size=batch_size)
        return LiteRTLocalizer(file, threads=1).localize


def report(label: str, none: list[float], refined_times: list[float], passes: int) -> None:
    none = [passes * seconds for seconds in none]
    plain, refined = statistics.median(none), statistics.median(refined_times)
    medians, best = ratios(refined_times, none)
    print(f"{label} {plain * 1e3:>9.2f} ms {refined * 1e3:>9.2f} ms {medians:>8.3f} {best:>6.3f}", flush=True)


if __name__ == "__main__":
    main()
