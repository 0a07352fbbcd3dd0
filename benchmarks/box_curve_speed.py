"""What judging a map at 1,000 thresholds costs: one pass against a search for contours at each, in one run.

    python benchmarks/box_curve_speed.py [--maps 20] [--workers 2] [--files maps.npz ...]

Both run on one core, by turns, over the same score maps of 224x224 pixels, and have to give the same answers
at every threshold. The maps are random, smoothed or not, resized bicubically from 7x7, 14x14 and 28x28; maps
of a model can be added as `.npz` files of arrays (..., h, w). "constant" are constant maps, in which bicubic
resizing leaves rounding noise that the protocol scales to [0, 1]. In the end, maps a second on several cores.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from keras_cam.metrics import choe2020
from keras_cam.metrics.box_curve import BoxCurve, contour_boxes, inclusive_ious
from turns import times_by_turns

BOXES = [[30, 40, 160, 190], [100, 20, 200, 120]]
TURNS = 3
MAPS_IN_ALL = 10_000
IOU_THRESHOLDS = np.array(choe2020.IOU_THRESHOLDS)[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=20, help="of each kind")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--files", nargs="*", default=[])
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{'maps':<12} {'contours':<8} {'each':>10} {'one pass':>10} {'ratio':>7}")
    for name, raw in kinds(arguments.maps, arguments.files):
        score_maps = [choe2020.score_map(activation_map) for activation_map in raw]
        for contours, slow, fast in (
            ("largest", largest_by_search, largest_in_one_pass),
            ("all", all_by_search, all_in_one_pass),
            ("both", both_by_search, both_in_one_pass),
        ):
            before, after = seconds_a_map(slow, fast, score_maps)
            print(
                f"{name:<12} {contours:<8} {before * 1e3:>7.2f} ms {after * 1e3:>7.2f} ms "
                f"{before / after:>7.1f}",
                flush=True,
            )
    raw = (raw * (MAPS_IN_ALL // len(raw) + 1))[:MAPS_IN_ALL]
    for workers in sorted({1, arguments.workers}):
        start = time.perf_counter()
        choe2020.count_box_hits(raw, [BOXES] * len(raw), workers=workers)
        seconds = time.perf_counter() - start
        print(f"{workers} processes: {len(raw) / seconds:.0f} maps/s of {len(raw)}, start included")


def kinds(count: int, files: list[str]):
    rng = np.random.default_rng(0)
    yield "constant", [np.full((13, 13), -0.3)]
    for file in files:
        arrays = np.load(file)
        for key in arrays.files:
            if arrays[key].ndim >= 3 and min(arrays[key].shape[-2:]) > 5:
                maps = arrays[key].reshape(-1, *arrays[key].shape[-2:])
                yield (
                    key[:12],
                    [maps[index] for index in range(0, len(maps), max(1, len(maps) // count))][:count],
                )
    for size in (7, 14, 28):
        noise = [rng.normal(size=(size, size)) for _ in range(count)]
        yield f"noise {size}", noise
        yield f"smooth {size}", [cv2.GaussianBlur(one, (0, 0), size / 10) for one in noise]


def seconds_a_map(slow: Callable, fast: Callable, score_maps: list[np.ndarray]) -> tuple[float, float]:
    """Mean seconds of processor time for a map, after a check that both give the same answers."""
    for score_map in score_maps:
        np.testing.assert_array_equal(slow(score_map), fast(score_map))
    calls = {
        "slow": lambda: [slow(score_map) for score_map in score_maps],
        "fast": lambda: [fast(score_map) for score_map in score_maps],
    }
    times = times_by_turns(calls, 0, turns=TURNS, warm_up=0, clock=time.process_time)
    return statistics.mean(times["slow"]) / len(score_maps), statistics.mean(times["fast"]) / len(score_maps)


def largest_by_search(score_map: np.ndarray) -> np.ndarray:
    image = (score_map * 255).astype(np.uint8)
    levels = (choe2020.THRESHOLDS * image.max()).astype(int).tolist()
    boxes = np.concatenate([contour_boxes(image, level, largest_only=True) for level in levels])
    return inclusive_ious(boxes, BOXES).max(axis=1) >= IOU_THRESHOLDS


def all_by_search(score_map: np.ndarray) -> np.ndarray:
    image = (score_map * 255).astype(np.uint8)
    levels = (choe2020.THRESHOLDS * image.max()).astype(int).tolist()
    boxes = [contour_boxes(image, level) for level in levels]
    starts = np.cumsum([0, *map(len, boxes[:-1])])
    ious = inclusive_ious(np.concatenate(boxes), BOXES).max(axis=1)
    return np.maximum.reduceat(ious, starts) >= IOU_THRESHOLDS


def both_by_search(score_map: np.ndarray) -> np.ndarray:
    return np.stack([largest_by_search(score_map), all_by_search(score_map)])


def largest_in_one_pass(score_map: np.ndarray) -> np.ndarray:
    return BoxCurve(score_map).largest_hits(choe2020.THRESHOLDS, BOXES, choe2020.IOU_THRESHOLDS)


def all_in_one_pass(score_map: np.ndarray) -> np.ndarray:
    return BoxCurve(score_map).best_ious(choe2020.THRESHOLDS, BOXES) >= IOU_THRESHOLDS


def both_in_one_pass(score_map: np.ndarray) -> np.ndarray:
    curve = BoxCurve(score_map)
    largest = curve.largest_hits(choe2020.THRESHOLDS, BOXES, choe2020.IOU_THRESHOLDS)
    return np.stack([largest, curve.best_ious(choe2020.THRESHOLDS, BOXES) >= IOU_THRESHOLDS])


if __name__ == "__main__":
    main()
