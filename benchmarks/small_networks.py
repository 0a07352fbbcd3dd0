"""The paper's Table 2 in miniature: small networks trained from scratch on Tiny-ImageNet, several seeds each.

    python benchmarks/small_networks.py --data tiny_imagenet20/ [--seeds 3] [--epochs 12] [--output runs/]

Global average pooling against global maximum pooling, three kinds of networks, and what a user would pick.
Each run is that of `keras-cam train --config tiny_imagenet20` with the changes that `ROWS` tells. An interval
is the mean over seeds with that of Student's t for 95 %: it is about other seeds, not about other images.

A map is the classifier's weighted sum of the features, for maximum pooling as well, as in the paper. An image
counts as localized if its class is among the predicted ones and the box of its class is right, or for
GT-known if that box is. The rule of the box is the paper's: above 20 % of the maximum.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from scipy.stats import t as student  # noqa: E402

import keras_cam  # noqa: E402
from keras_cam import evaluate  # noqa: E402
from keras_cam.cli.console import print_table  # noqa: E402
from keras_cam.data import AnnotatedImages, read_annotations, to_dataset  # noqa: E402
from keras_cam.training import TrainingConfig, load_config, train  # noqa: E402
from keras_cam.training.classifier import build_classifier  # noqa: E402

NETWORKS = "keras_cam.training.small_networks:"
ROWS = {
    "AlexNet-GAP, small": {"model": f"{NETWORKS}small_alexnet"},
    "VGGnet-GAP, small": {"model": f"{NETWORKS}small_vgg"},
    "GoogLeNet-GAP, small": {"model": f"{NETWORKS}small_googlenet"},
    "GoogLeNet-GMP, small": {"model": f"{NETWORKS}small_googlenet", "pooling": "max"},
    "GoogLeNet-GAP, small, batch normalization": {},
}
FIGURES = ("top-1 error", "top-5 error", "localization top-1", "localization top-5", "GT-known right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--output", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="default: those of the configuration")
    arguments = parser.parse_args()
    annotated = read_annotations(arguments.data, "test")
    rows = []
    for name, changes in ROWS.items():
        found = []
        for seed in range(arguments.seeds):
            config = replace(load_config("tiny_imagenet20"), seed=seed, **changes)
            if arguments.epochs:
                config = replace(config, stages=(replace(config.stages[0], epochs=arguments.epochs),))
            output = arguments.output / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
            trained = train(config, arguments.data, output)
            seconds = sum(row["seconds"] for row in trained.history)
            found.append([*judge(config, trained.model, annotated), seconds])
        print(name, np.round(found, 4).tolist(), flush=True)
        rows.append([name, *map(interval, np.transpose(found)[:-1]), f"{np.mean(found, axis=0)[-1]:.0f} s"])
    header = ("network", *FIGURES, "time a run")
    print_table(header, rows, right=header[1:])


def judge(config: TrainingConfig, model: keras.Model, annotated: AnnotatedImages) -> list[float]:
    """The figures of a trained model, in the order of `FIGURES`."""
    images = to_dataset(annotated, model.input_shape[1:3])
    logits = np.concatenate([model(batch["images"], training=False) for batch in images])
    ranks = (logits > np.take_along_axis(logits, annotated.labels[:, None], axis=1)).sum(axis=1)
    # With average pooling the same weights have the exact maps that the paper draws for either network.
    averaging = build_classifier(replace(config, pooling="avg"), annotated.class_names)
    averaging.set_weights(model.get_weights())
    results = []
    evaluate(keras_cam.build_localizer(averaging), annotated, on_result=results.append)
    right = np.array([result.iou >= 0.5 for result in results])
    return [
        *(np.mean(ranks >= top) for top in (1, 5)),
        *(np.mean(~(right & (ranks < top))) for top in (1, 5)),
        np.mean(right),
    ]


def interval(values: np.ndarray) -> str:
    """Mean and half the width of the 95 % interval over seeds, in per cent."""
    if len(values) < 2:
        return f"{100 * values.mean():.1f}"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return f"{100 * values.mean():.1f} ± {100 * half:.1f}"


if __name__ == "__main__":
    main()
