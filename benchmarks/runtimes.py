"""What classifying and localizing cost in each runtime, in one run.

    python benchmarks/runtimes.py [--model efficientnet_lite0] [--refine none] [--seconds 10]

One photo at a time. "classify" is the network with its classifier, called or exported as the localizer is;
the ratio is that of the median times, taken by turns.
"""

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import tensorflow as tf  # noqa: E402
from skimage import data  # noqa: E402

import keras_cam  # noqa: E402
from keras_cam.export import save_litert, save_onnx, save_saved_model  # noqa: E402
from keras_cam.formats import QUANTIZATIONS  # noqa: E402
from keras_cam.images.resize import resize  # noqa: E402
from keras_cam.inference import LiteRTLocalizer  # noqa: E402
from keras_cam.recipes import NONE, REFINEMENTS  # noqa: E402
from turns import times_by_turns  # noqa: E402

PHOTOS = (data.astronaut, data.chelsea, data.coffee, data.rocket)
CALIBRATION_IMAGES = 32
CLASSIFY, LOCALIZE = "classify", "localize"

Call = Callable[[np.ndarray], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--refine", choices=REFINEMENTS, default=NONE)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each line")
    arguments = parser.parse_args()
    model = keras_cam.build_model(arguments.model, weights="imagenet")
    localizer = keras_cam.build_localizer(model, refine=arguments.refine)
    size_hw = model.input_shape[1:3]
    images = [resize(photo(), size_hw)[None] for photo in PHOTOS]
    print(f"{'runtime':<28} {'classify':>10} {'localize':>10} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for name, classify, localize in runtimes(model, localizer, Path(folder), images):
            calls = {CLASSIFY: in_turn(classify, images), LOCALIZE: in_turn(localize, images)}
            times = times_by_turns(calls, arguments.seconds, turns=20, warm_up=len(images))
            one, other = (statistics.median(times[name]) for name in (CLASSIFY, LOCALIZE))
            print(f"{name:<28} {one * 1e3:>7.2f} ms {other * 1e3:>7.2f} ms {other / one:>6.3f}", flush=True)


def runtimes(
    model: keras.Model, localizer: keras.Model, folder: Path, images: list[np.ndarray]
) -> Iterator[tuple[str, Call, Call]]:
    """The name of each runtime, and its two functions of an image."""
    classifier = keras.Model(model.inputs, keras.ops.softmax(model.outputs[0]))
    yield (
        "Keras predict",
        *(lambda x, one=one: one.predict(x, verbose=0) for one in (classifier, localizer)),
    )
    yield ("tf.function", tf.function(classifier), tf.function(localizer))
    signatures = tf.saved_model.load(save_saved_model(localizer, folder / "cam" / "1")).signatures
    yield (
        "SavedModel",
        *(lambda x, run=signatures[name]: run(images=tf.constant(x)) for name in (CLASSIFY, LOCALIZE)),
    )
    calibration = np.concatenate(
        [np.roll(images[i % len(images)], i, axis=2) for i in range(CALIBRATION_IMAGES)]
    )
    for quantization in (None, *QUANTIZATIONS):
        file = folder / f"{quantization}.tflite"
        save_litert(localizer, file, quantization=quantization, representative_data=calibration)
        for threads in (1, 2):
            lite = LiteRTLocalizer(file, threads=threads)
            yield (
                f"LiteRT {quantization or 'float32'}, {threads} thread{'s' * (threads > 1)}",
                lite.classify,
                lite.localize,
            )
    session = onnxruntime.InferenceSession(save_onnx(localizer, folder / "cam.onnx"))
    localized = list(localizer.output)
    # ONNX Runtime computes what the asked outputs need, and nothing else.
    yield (
        "ONNX Runtime",
        lambda x: session.run(["logits", "probabilities"], {"images": x}),
        lambda x: session.run(localized, {"images": x}),
    )


def in_turn(call: Call, images: list[np.ndarray]) -> Callable[[], object]:
    """The function on the next image each time, with its outputs fetched."""
    following = itertools.cycle(images)
    return lambda: tf.nest.map_structure(np.asarray, call(next(following)))


if __name__ == "__main__":
    main()
