"""How well masks cover objects whose pixels are known: photos cut out as ellipses, on photos of textures.

    python benchmarks/mask_quality.py [--count 120] [--model efficientnet_lite0]

The class is given, as in GT-known localization. PxAP judges the maps at all thresholds; the intersection over
union judges the mask at the localizer's own threshold, and, to compare, all pixels of its box and of the
ellipse's own box.
"""

import argparse

import cv2
import numpy as np
from skimage import data

from keras_cam import load_localizer
from keras_cam.images.resize import resize
from keras_cam.inference.records import Localization, localizations
from keras_cam.metrics import PxAP

SIZE = 360
OBJECTS = {  # ImageNet's class, and the part of a photo that is full of it
    285: data.chelsea()[10:280, 60:400],
    967: data.coffee()[20:350, 90:470],
    665: data.stereo_motorcycle()[0][80:440, 40:700],
}
TEXTURES = [cv2.cvtColor(cv2.resize(image, (SIZE, SIZE)), cv2.COLOR_GRAY2RGB)
            for image in (data.gravel(), data.brick(), data.grass())]  # fmt: skip


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """A picture uint8 (360, 360, 3), the pixels of its object bool (360, 360), and the object's class."""
    class_id = int(rng.choice(list(OBJECTS)))
    width, height = (int(side) for side in rng.uniform(0.35, 0.75, 2) * SIZE)
    x, y = (int(rng.uniform(0, SIZE - side)) for side in (width, height))
    picture, mask = TEXTURES[rng.integers(3)].copy(), np.zeros((SIZE, SIZE), np.uint8)
    centre = (x + width // 2, y + height // 2)
    cv2.ellipse(mask, centre, (width // 2, height // 2), 0, 0, 360, 1, cv2.FILLED)
    whole = np.zeros_like(picture)
    whole[y : y + height, x : x + width] = cv2.resize(
        OBJECTS[class_id], (width, height), interpolation=cv2.INTER_AREA
    )
    picture[mask > 0] = whole[mask > 0]
    return picture, mask > 0, class_id


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((one & other).sum() / (one | other).sum())


def box_of(record: Localization) -> np.ndarray:
    """The pixels of the best box."""
    xmin, ymin, xmax, ymax = (round(side) for side in record.detections[0].box_xyxy or (0, 0, 0, 0))
    mask = np.zeros((SIZE, SIZE), bool)
    mask[ymin:ymax, xmin:xmax] = True
    return mask


def tight_box(mask: np.ndarray) -> np.ndarray:
    """The pixels of the box around a mask."""
    return mask.any(axis=0)[None] & mask.any(axis=1)[:, None]


def main() -> None:
    """Measures plain and refined maps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--model", default="efficientnet_lite0")
    args = parser.parse_args()
    print(f"{args.count} scenes, {args.model}\n")
    print("| maps | PxAP | IoU of masks | IoU of boxes with the object | IoU of the object's own box |")
    print("| --- | --- | --- | --- | --- |")
    for refine in ("none", "B32", "C"):
        localizer, rng = load_localizer(args.model, refine=refine), np.random.default_rng(0)
        metric, scores = PxAP((SIZE, SIZE)), []
        for _ in range(args.count):
            picture, mask, class_id = scene(rng)
            found = localizer.cam(resize(picture, localizer.size_hw)[None], [[class_id]])
            maps = found.get("localization_maps", found["class_activation_maps"])
            metric.update_state(mask[None].astype(int), maps)
            has_box = found["detection_boxes"].any(axis=(1, 2)).astype(int)
            rows = {**found, "detection_classes": [[class_id]], "detection_scores": [[1.0]]}
            outputs = {name: np.asarray(values) for name, values in rows.items()}
            outputs["num_detections"] = has_box
            [record] = localizations(outputs, ["scene"], [(SIZE, SIZE)], None, "", localizer.threshold)
            ours = record.mask(record.detections[0])
            nothing = np.zeros_like(mask)
            scores.append([iou(nothing if ours is None else ours, mask), iou(box_of(record), mask),
                           iou(tight_box(mask), mask)])  # fmt: skip
        means = " | ".join(f"{value:.1%}" for value in np.mean(scores, axis=0))
        print(f"| {refine} | {float(metric.result()):.1%} | {means} |")


if __name__ == "__main__":
    main()
