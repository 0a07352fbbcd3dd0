"""What gradient maps cost: against the bare classifier, and against other packages on the same model.

    pip install tf-keras-vis==0.8.7 xplique==2.0.2    tf-keras    (optional: else their lines are left out)
    python benchmarks/gradient_maps.py [--batch-sizes 1 8] [--seconds 20]

Grad-CAM of a MobileNetV2 with a hidden layer behind the pooling (224 x 224, random weights), for one class
and for the best five, by turns with the same classifier compiled. Five classes take the other packages five
calls. Two ratios are printed: of the median times, and of the shortest, which other work disturbs least.
"""

import argparse
import statistics
from collections.abc import Callable

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import keras_cam  # noqa: E402
from turns import times_by_turns  # noqa: E402

CLASSES, LAST_CONVOLUTION = 100, "out_relu"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=(1, 8))
    parser.add_argument("--seconds", type=float, default=20.0, help="for each line")
    arguments = parser.parse_args()
    model = classifier()
    columns = f"{'theirs':>9} {'ours':>9} {'medians':>8} {'best':>6}"
    print(f"{'batch':>5} {'classes':>7} {'compared with':<16} {columns}")
    for batch_size in arguments.batch_sizes:
        images = np.random.default_rng(0).uniform(-1, 1, (batch_size, 224, 224, 3)).astype("float32")
        for classes in (1, 5):
            runs = {"ours": ours(model, images, classes), "bare classifier": bare(model, images)}
            for make in (tf_keras_vis, xplique):
                try:
                    runs[make.__name__] = make(model, images, classes)
                except ImportError as error:
                    print(f"{make.__name__} is left out: {error}")
            times = times_by_turns(runs, arguments.seconds, turns=3)
            for name in list(runs)[1:]:
                report(f"{batch_size:>5} {classes:>7} {name:<16}", times[name], times["ours"])


def classifier() -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
    values = keras.layers.GlobalAveragePooling2D()(backbone.output)
    values = keras.layers.Dense(256, activation="relu")(values)
    return keras.Model(backbone.input, keras.layers.Dense(CLASSES)(values))


def bare(model: keras.Model, images: np.ndarray) -> Callable[[], object]:
    compiled = tf.function(lambda pixels: model(pixels, training=False))
    return lambda: compiled(images).numpy()


def ours(model: keras.Model, images: np.ndarray, classes: int) -> Callable[[], object]:
    localizer = keras_cam.build_localizer(model, top_k=classes, method="gradcam", refine="none")
    compiled = tf.function(lambda pixels: localizer(pixels)["class_activation_maps"])
    return lambda: compiled(images).numpy()


def tf_keras_vis(model: keras.Model, images: np.ndarray, classes: int) -> Callable[[], object]:
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    gradcam = Gradcam(model, clone=False)

    def run() -> None:
        for index in range(classes):
            score = CategoricalScore([index] * len(images))
            gradcam(score, images, penultimate_layer=LAST_CONVOLUTION, expand_cam=False)

    return run


def xplique(model: keras.Model, images: np.ndarray, classes: int) -> Callable[[], object]:
    from xplique.attributions import GradCAM

    gradcam = GradCAM(model, conv_layer=LAST_CONVOLUTION, batch_size=len(images))
    targets = np.eye(CLASSES, dtype="float32")

    def run() -> None:
        for index in range(classes):
            gradcam.explain(images, np.repeat(targets[index : index + 1], len(images), axis=0))

    return run


def report(line: str, theirs: list[float], mine: list[float]) -> None:
    """Milliseconds, and how many times as long theirs takes."""
    median = statistics.median
    print(
        f"{line} {1000 * median(theirs):>6.1f} ms {1000 * median(mine):>6.1f} ms "
        f"{median(theirs) / median(mine):>7.2f}x {min(theirs) / min(mine):>5.2f}x",
        flush=True,
    )


if __name__ == "__main__":
    main()
