"""What gradient maps cost: against the bare classifier, and against other packages on the same model.

    pip install tf-keras-vis==0.8.7 xplique==2.0.2 tensorflow-probability   (optional: else left out)
    python benchmarks/gradient_maps.py [--batch-sizes 1 8] [--seconds 20]

Grad-CAM for one class and for the best five, by turns with the same classifier compiled, of random weights at
224 x 224: a MobileNetV2 with a hidden layer behind the pooling, and a transformer of 12 layers with a class
token, cut before its last block. Five classes take the other packages five calls. Times are processor time,
so that other work on the machine does not count. Two ratios are printed: of the medians, and of the shortest.
"""

import argparse
import time
from collections.abc import Callable
from importlib import import_module

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import keras_cam  # noqa: E402
from turns import ratios, times_by_turns  # noqa: E402

CLASSES, LAST_CONVOLUTION = 100, "out_relu"
Make = Callable[[keras.Model, np.ndarray, int], Callable[[], object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=(1, 8))
    parser.add_argument("--seconds", type=float, default=20.0, help="for each line")
    arguments = parser.parse_args()
    print(f"{'model':<12} {'batch':>5} {'classes':>7} {'compared':<22} {'times as long':>13} {'best':>6}")
    others = available(tf_keras_vis, xplique)
    for build, compared in ((mobilenet, others), (transformer, [])):
        model = build()
        for batch_size in arguments.batch_sizes:
            images = np.random.default_rng(0).uniform(-1, 1, (batch_size, 224, 224, 3)).astype("float32")
            for classes in (1, 5):
                runs = {"ours": ours(model, images, classes), "bare": bare(model, images)}
                runs |= {make.__name__: make(model, images, classes) for make in compared}
                times = times_by_turns(runs, arguments.seconds, turns=3, clock=time.process_time)
                pairs = [("ours", "bare"), *((make.__name__, "ours") for make in compared)]
                for one, reference in pairs:
                    medians, best = ratios(times[one], times[reference])
                    line = f"{build.__name__:<12} {batch_size:>5} {classes:>7} {f'{one} / {reference}':<22}"
                    print(f"{line} {medians:>12.2f}x {best:>5.2f}x", flush=True)


def available(*makes: Make) -> list[Make]:
    """Those whose package is installed."""
    found = []
    for make in makes:
        try:
            import_module(make.__name__)
            found.append(make)
        except ImportError as error:
            print(f"{make.__name__} is left out: {error}")
    return found


def mobilenet() -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
    values = keras.layers.GlobalAveragePooling2D()(backbone.output)
    values = keras.layers.Dense(256, activation="relu")(values)
    return keras.Model(backbone.input, keras.layers.Dense(CLASSES)(values))


def transformer(width: int = 192, blocks: int = 12) -> keras.Model:
    """As small as ViT-Tiny, with patches of 16 x 16 pixels."""
    keras.utils.set_random_seed(0)
    images = keras.Input((224, 224, 3))
    x = keras.layers.Conv2D(width, 16, strides=16)(images)
    x = keras.layers.Reshape((196, width))(x)
    x = keras.ops.concatenate([keras.ops.mean(x, axis=1, keepdims=True), x], axis=1)
    for _ in range(blocks):
        y = keras.layers.LayerNormalization()(x)
        x = x + keras.layers.MultiHeadAttention(3, width // 3)(y, y)
        y = keras.layers.Dense(4 * width, activation="gelu")(keras.layers.LayerNormalization()(x))
        x = x + keras.layers.Dense(width)(y)
    return keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.LayerNormalization()(x)[:, 0]))


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


if __name__ == "__main__":
    main()
