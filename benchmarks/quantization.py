"""What quantization costs in agreement with the float model, and saves in bytes.

    python benchmarks/quantization.py --data ilsvrc_val_dev [--model efficientnet_lite0] [--refine affinity]

Every other image, up to `--images` of them, shows the quantizer what activations are like. The others are
judged: how often the best class is the same, and the IoU of the box of the float file's best class.
"""

import argparse
import tempfile
from pathlib import Path

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import numpy as np  # noqa: E402

from keras_cam import load_localizer  # noqa: E402
from keras_cam.data import read_annotations  # noqa: E402
from keras_cam.export import save_litert  # noqa: E402
from keras_cam.formats import QUANTIZATIONS  # noqa: E402
from keras_cam.images.resize import resize  # noqa: E402
from keras_cam.inference import LiteRTLocalizer  # noqa: E402
from keras_cam.metrics import box_ious  # noqa: E402
from keras_cam.recipes import NONE, REFINEMENTS  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--refine", default=NONE, choices=REFINEMENTS)
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    localizer = load_localizer(arguments.model, refine=arguments.refine)
    annotated = read_annotations(arguments.data)[: 2 * arguments.images]
    images = np.stack([resize(image.read(), localizer.inputs[0].shape[1:3]) for image in annotated])
    seen, judged = images[::2], images[1::2]
    print(f"{len(judged)} images judged, {len(seen)} others for the ranges of activations")
    print(
        f"{'quantization':<12} {'MB':>6} {'of float':>8} {'same class':>10} "
        f"{'median IoU':>10} {'mean IoU':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        floats = save_litert(localizer, Path(folder) / "float.tflite")
        expected = LiteRTLocalizer(floats).localize(judged)
        for quantization in QUANTIZATIONS:
            file = save_litert(
                localizer,
                Path(folder) / f"{quantization}.tflite",
                quantization=quantization,
                representative_data=seen,
            )
            same, ious = agreement(expected, LiteRTLocalizer(file), judged)
            size = file.stat().st_size
            print(
                f"{quantization:<12} {size / 1e6:>6.2f} {size / floats.stat().st_size:>8.3f} {same:>10.1%} "
                f"{np.median(ious):>10.4f} {np.mean(ious):>8.4f}",
                flush=True,
            )


def agreement(expected, lite, images) -> tuple[float, list[float]]:
    """How often the best class is the same, and the IoU of the boxes of the float model's best class."""
    outputs = lite.localize(images)
    best = expected["detection_classes"][:, 0]
    ious = []
    for row, wanted in enumerate(best):
        [found] = np.nonzero(outputs["detection_classes"][row] == wanted)
        boxes = outputs["detection_boxes"][row, found[:1]]
        true_box = expected["detection_boxes"][row, :1]
        ious.append(float(np.asarray(box_ious(true_box, boxes)).max(initial=0.0)))
    return float(np.mean(outputs["detection_classes"][:, 0] == best)), ious


if __name__ == "__main__":
    main()
