"""How good each map method is: localization, faithfulness and time, on three data sets.

    python benchmarks/methods.py DATA [--sets cub10 pets3 ilsvrc_val_dev] [--heads flatten]
                                 [--methods gradcam] [--refine affinity]
                                 [--images 100] [--faithful 16]

DATA is a folder with `ilsvrc_val_dev`, `cub10` and `pets3`. The network is EfficientNet-Lite0 at 224 x 224.
On `ilsvrc_val_dev` it has its own linear head; on the other sets three heads that are not linear, trained for
seconds on the training images: a hidden layer behind average pooling ("average"), one behind maximum pooling
("maximum"), and one on all positions ("flatten"). Images are chosen at random, with a fixed seed.
"""

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from tabulate import tabulate  # noqa: E402

import keras_cam  # noqa: E402
from keras_cam.data import AnnotatedImages, read_annotations  # noqa: E402
from keras_cam.evaluation import evaluate  # noqa: E402
from keras_cam.graph.classification_head import find_classification_head  # noqa: E402
from keras_cam.inference.keras import KerasLocalizer  # noqa: E402
from keras_cam.map_methods import MAP_METHODS  # noqa: E402
from keras_cam.metrics import ROAD, DeletionAUC, InsertionAUC, perturbed_images, road_images  # noqa: E402

SIZE_HW = (224, 224)
METHODS = (*MAP_METHODS, "finer:gradcam", "finer:layercam")
POOLING = {
    "average": keras.layers.GlobalAveragePooling2D,
    "maximum": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}
HEADS = ("linear", *POOLING)
SETS = ("cub10", "pets3", "ilsvrc_val_dev")
STEPS, FRACTIONS, GREY = 14, (0.2, 0.5, 0.8), 127.0
HEADER = (
    "data",
    "head",
    "method",
    "GT-known",
    "MaxBoxAccV2",
    "pointing",
    "insertion",
    "deletion",
    "ROAD",
    "ms",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--heads", nargs="+", default=HEADS, choices=HEADS)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--refine", default="none", help="see `build_localizer`")
    parser.add_argument("--images", type=int, default=100, help="on which boxes and maps are judged")
    parser.add_argument("--faithful", type=int, default=16, help="of these, for insertion and so on")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.sets:
        for head, model in classifiers(arguments.data / name, arguments.heads):
            split = None if name == "ilsvrc_val_dev" else "test"
            images = chosen(read_annotations(arguments.data / name, split), arguments.images)
            for method in arguments.methods:
                figures = judge(model, method, arguments.refine, images, arguments.faithful)
                rows.append([name, head, method, *figures])
                print(*rows[-1], flush=True)
    print(tabulate(rows, HEADER, "pipe", disable_numparse=True))


def classifiers(folder: Path, heads: Sequence[str]):
    """The name of a head and a classifier with that head, for each of these heads of a data set."""
    base = keras_cam.build_model("efficientnet_lite0", weights="imagenet", input_shape=(*SIZE_HW, 3))
    if folder.name == "ilsvrc_val_dev":
        if "linear" in heads:
            yield "linear", base
        return
    train = read_annotations(folder, "train")
    head = find_classification_head(base)
    backbone = keras.Model(head.inputs, head.features)
    pixels = np.concatenate([batch.images for batch in train.batches(SIZE_HW, 32)])
    features, labels = backbone.predict(pixels, verbose=0), np.array([image.label for image in train])
    for name in filter(heads.__contains__, POOLING):
        keras.utils.set_random_seed(0)
        layers = [
            POOLING[name](),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(len(train.class_names)),
        ]
        top = keras.Sequential([keras.Input(features.shape[1:]), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        top.compile(keras.optimizers.Adam(1e-3), loss)
        top.fit(features, labels, epochs=60, batch_size=32, verbose=0)
        values = head.features
        for layer in layers:
            values = layer(values)
        yield name, keras.Model(head.inputs, values)


def chosen(annotated: AnnotatedImages, count: int) -> AnnotatedImages:
    order = np.random.default_rng(0).permutation(len(annotated))[:count]
    images = tuple(annotated[int(index)] for index in order)
    return AnnotatedImages(annotated.source, annotated.class_names, images)


def judge(model: keras.Model, method: str, refine: str, images: AnnotatedImages, faithful: int) -> list[str]:
    """The figures of a method: percent, and milliseconds of an image."""
    localizer = KerasLocalizer(keras_cam.build_localizer(model, method=method, refine=refine))
    figures = evaluate(localizer, images, batch_size=8).to_dict()
    rates = [figures["gt_known_accuracy"], figures["max_box_acc_v2"]["value"], figures["pointing_game"]]
    return [f"{100 * rate:.1f}" for rate in (*rates, *faithfulness(localizer, images[:faithful]))] + [
        f"{milliseconds(localizer, images[:1]):.1f}"
    ]


def faithfulness(localizer: KerasLocalizer, images: AnnotatedImages) -> list[float]:
    """Insertion and deletion AUC, and accuracy after the most relevant pixels were removed."""
    if not images:
        return [math.nan] * 3
    insertion, deletion, road = InsertionAUC(), DeletionAUC(), ROAD(FRACTIONS)
    for batch in images.batches(SIZE_HW, 8):
        for index, pixels in zip(batch.index, batch.images, strict=True):
            label = [images[int(index)].label]
            (cam,) = localizer.cam(pixels[None], [label])["class_activation_maps"][0]

            def probabilities(shown):
                return np.asarray(keras.ops.softmax(localizer.classify(np.stack(list(shown)))))[None]

            for metric, mode in ((insertion, "insertion"), (deletion, "deletion")):
                metric.update_state(label, probabilities(perturbed_images(pixels, cam, mode, STEPS, GREY)))
            road.update_state(label, probabilities(road_images(pixels, cam, fractions=FRACTIONS)))
    return [float(metric.result()) for metric in (insertion, deletion, road)]


def milliseconds(localizer: KerasLocalizer, images: AnnotatedImages) -> float:
    """The shortest time of five, of one image and one class, the network included."""
    (batch,) = images.batches(SIZE_HW, 1)
    times = []
    for _ in range(6):
        started = time.perf_counter()
        localizer.cam(batch.images, [[images[0].label]])
        times.append(time.perf_counter() - started)
    return 1000 * min(times[1:])


if __name__ == "__main__":
    main()
