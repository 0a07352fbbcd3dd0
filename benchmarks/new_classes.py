"""What refinement and a learned foreground give for classes that a network was never trained on.

    python benchmarks/new_classes.py --data cub10 [--model efficientnet_lite0] [--refine B32 ...] [--seeds 3]

The network is frozen; a linear head learns the classes of the training images on pooled features, at
320 x 320. The foreground learns from the same images without their labels. Figures are of the test images:
GT-known localization, MaxBoxAccV2, and how often a box in the middle is right.
"""

import argparse

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras  # noqa: E402

import keras_cam  # noqa: E402
from keras_cam import evaluate  # noqa: E402
from keras_cam.applications.features import backbone_of, extract_features  # noqa: E402
from keras_cam.data import AnnotatedImages, read_annotations  # noqa: E402
from keras_cam.recipes import DEFAULT_RECIPE, NONE, RECIPES, REFINED_IMAGE_SIZE  # noqa: E402
from keras_cam.training import train_foreground  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="with the splits train and test")
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--refine", nargs="+", choices=(NONE, *RECIPES), default=(NONE, *RECIPES))
    parser.add_argument("--seeds", type=int, default=3, help="of the foreground")
    arguments = parser.parse_args()
    train, test = (read_annotations(arguments.data, split) for split in ("train", "test"))
    classifier = frozen_classifier(arguments.model, train)
    print(f"{'maps':<24} {'GT-known':>8} {'MaxBoxAccV2':>11} {'middle':>7}")
    for recipe in arguments.refine:
        judge(recipe, keras_cam.build_localizer(classifier, refine=recipe), test)
    for seed in range(arguments.seeds):
        foreground = train_foreground(classifier, train, seed=seed)
        localizer = keras_cam.build_localizer(classifier, refine=DEFAULT_RECIPE, foreground=foreground)
        judge(f"{DEFAULT_RECIPE}, foreground {seed}", localizer, test)


def frozen_classifier(name: str, train: AnnotatedImages) -> keras.Model:
    shape = (REFINED_IMAGE_SIZE, REFINED_IMAGE_SIZE, 3)
    backbone = backbone_of(keras_cam.build_model(name, weights="imagenet", input_shape=shape))
    table = extract_features(backbone, train)
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(len(train.class_names))
    head = keras.Sequential([keras.Input(table.vectors.shape[1:]), dense])
    head.compile(
        keras.optimizers.AdamW(3e-3, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    head.fit(table.vectors, table.labels, epochs=60, verbose=0)
    images = keras.Input(shape)
    return keras.Model(images, dense(keras.layers.GlobalAveragePooling2D()(backbone(images))))


def judge(label: str, localizer: keras.Model, test: AnnotatedImages) -> None:
    figures = evaluate(localizer, test).to_dict()
    print(
        f"{label:<24} {figures['gt_known_accuracy']:>8.1%} {figures['max_box_acc_v2']['value']:>11.1%} "
        f"{figures['center_box_gt_known']:>7.1%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
