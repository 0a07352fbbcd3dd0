"""Whether repeated calls of a localizer retrace or grow: 1,000 calls of each kind, in one run.

    python benchmarks/localizer_memory.py [--model efficientnet_lite0] [--calls 1000]

Prints the resident memory after a warm-up of 100 calls and after all of them, and how often TensorFlow
traced.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import keras_cam  # noqa: E402

WARM_UP = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--calls", type=int, default=1000)
    arguments = parser.parse_args()
    localizer = keras_cam.build_localizer(keras_cam.build_model(arguments.model))
    images = np.random.default_rng(0).uniform(0, 255, (1, *localizer.inputs[0].shape[1:])).astype("float32")
    traced = tf.function(localizer)
    print(f"{'call':<22} {'after 100':>12} {f'after {arguments.calls}':>12} {'growth':>10} {'traces':>7}")
    report("localizer(images)", lambda: localizer(images), arguments.calls, lambda: 0)
    report("tf.function", lambda: traced(images), arguments.calls, traced.experimental_get_tracing_count)
    localizer.predict(images, verbose=0)
    predict = localizer.predict_function
    report(
        "predict_on_batch",
        lambda: localizer.predict_on_batch(images),
        arguments.calls,
        predict.experimental_get_tracing_count,
    )


def report(name: str, call: Callable[[], object], calls: int, traces: Callable[[], int]) -> None:
    for _ in range(WARM_UP):
        call()
    before = resident_mib()
    for _ in range(calls - WARM_UP):
        call()
    after = resident_mib()
    growth = after - before
    print(f"{name:<22} {before:>8.1f} MiB {after:>8.1f} MiB {growth:>6.1f} MiB {traces():>7}", flush=True)


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
