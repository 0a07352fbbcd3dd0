"""Which features and which refinement a text detector's maps are best with.

python examples/rendered_text.py words/
python benchmarks/text_features.py words/
"""

import sys

import keras_cam
from keras_cam import evaluate
from keras_cam.applications.discovery.concepts import images_in, learn_concept
from keras_cam.applications.features import backbone_of
from keras_cam.data import read_annotations

# The layer, None for what is pooled; the side of the images; `output_stride`, None for the network's own.
FEATURES = [
    ("block7_add", 320, None),
    ("block10_add", 224, None),
    ("block10_add", 320, None),
    ("block14_add", 320, 16),
    (None, 320, None),
    (None, 320, 16),
]


def main(folder: str) -> None:
    """Prints the pointing game and the mean IoU of each."""
    test = read_annotations(f"{folder}/test", "test")
    examples = [images_in(f"{folder}/train/{kind}") for kind in ("with", "without")]
    for layer, side, stride in FEATURES:
        options = {} if stride is None else {"output_stride": stride}
        model = keras_cam.build_model(
            "efficientnet_lite0", weights="imagenet", input_shape=(side, side, 3), **options
        )
        detector = learn_concept(backbone_of(model, layer), *examples, "text").classifier
        for refine in ("none", "affinity"):
            figures = evaluate(keras_cam.build_localizer(detector, refine=refine), test).to_dict()
            named = f"{layer or 'pooled'}, {side} px, output_stride={stride}, refine={refine}"
            print(f"{named}: {figures['pointing_game']:.1%}, IoU {figures['mean_iou']:.3f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
