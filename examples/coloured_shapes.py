"""Draws shapes, asks about them, and writes pictures, questions and answers in the layout of VQA v2.

    python examples/coloured_shapes.py FOLDER [PICTURES]

Each picture has a coloured square, a black shape and a grating, or only some of them, anywhere and of any
size, on a noisy ground. It is asked what colour the square has, what shape is black, and which way the
stripes run, in several wordings. All ten people know the answer, and `bbox` says where it is to be seen.
There are PICTURES for training (default: 600), and a third as many to validate, of other random numbers.
"""

import argparse
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIDE = 256
QUESTIONS = {
    "colour": (
        "What colour is the square?",
        "Which colour does the square have?",
        "What is the square's colour?",
    ),
    "shape": ("What shape is black?", "Which shape is the black one?", "What is the black thing?"),
    "stripes": (
        "How do the stripes run?",
        "Which way do the stripes go?",
        "In what direction are the stripes?",
    ),
}

Box = tuple[int, int, int, int]


def main(folder: str, pictures: int = 600) -> None:
    """Writes both splits."""
    for seed, (split, count) in enumerate({"train": pictures, "val": pictures // 3}.items()):
        write_split(Path(folder), split, count, np.random.default_rng(seed))


def write_split(folder: Path, split: str, count: int, rng: np.random.Generator) -> None:
    """Writes pictures, questions and annotations of one split."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    questions, annotations = [], []
    for image_id in range(count):
        picture, answers = draw(rng)
        picture.save(folder / split / f"COCO_{split}_{image_id:012d}.png")
        for kind, (answer, box) in answers.items():
            ids = {"image_id": image_id, "question_id": len(questions)}
            questions.append({**ids, "question": str(rng.choice(QUESTIONS[kind]))})
            people = [{"answer": answer, "answer_id": person} for person in range(1, 11)]
            said = {"multiple_choice_answer": answer, "answers": people}
            annotations.append({**ids, **said, "question_type": kind, "answer_type": "other", "bbox": box})
    kind = {"data_type": "mscoco", "data_subtype": split}
    for name, key, entries in (
        (f"v2_OpenEnded_mscoco_{split}_questions.json", "questions", questions),
        (f"v2_mscoco_{split}_annotations.json", "annotations", annotations),
    ):
        (folder / name).write_text(json.dumps({**kind, key: entries}))


def draw(rng: np.random.Generator) -> tuple[Image.Image, dict[str, tuple[str, Box]]]:
    """A picture; and for each kind of question the answer, and its place as x, y, width, height."""
    kinds = rng.permutation(list(QUESTIONS))[: rng.integers(1, len(QUESTIONS) + 1)]
    shown = {}
    pixels = rng.integers(120, 200) + rng.normal(0, 12, (SIDE, SIDE, 1)) + np.zeros(3)
    for kind, place in zip(map(str, kinds), free_places(rng, len(kinds)), strict=True):
        answer = str(rng.choice(list(DRAWERS[kind])))
        DRAWERS[kind][answer](pixels, place)
        shown[kind] = answer, place
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), shown


def free_places(rng: np.random.Generator, count: int) -> list[Box]:
    """Squares that do not touch each other."""
    places: list[Box] = []
    while len(places) < count:
        side = int(rng.integers(56, 90))
        x, y = (int(value) for value in rng.integers(4, SIDE - side - 4, 2))
        apart = (
            x > left + width + 8 or left > x + side + 8 or y > top + height + 8 or top > y + side + 8
            for left, top, width, height in places
        )
        if all(apart):
            places.append((x, y, side, side))
    return places


def coloured(colour: tuple[int, int, int]) -> Callable[[np.ndarray, Box], None]:
    """Paints a square."""

    def paint(pixels: np.ndarray, place: Box) -> None:
        x, y, side, _ = place
        pixels[y : y + side, x : x + side] = colour

    return paint


def black(*corners: tuple[float, float]) -> Callable[[np.ndarray, Box], None]:
    """Paints a polygon whose corners are given in [-1, 1]."""

    def paint(pixels: np.ndarray, place: Box) -> None:
        x, y, side, _ = place
        points = np.array([x, y]) + (np.array(corners) + 1) / 2 * side
        cv2.fillPoly(pixels, [points.round().astype(np.int32)], (0, 0, 0))

    return paint


def striped(axis: int) -> Callable[[np.ndarray, Box], None]:
    """Adds stripes that fade out around the middle."""

    def paint(pixels: np.ndarray, place: Box) -> None:
        x, y, side, _ = place
        span = np.linspace(-1, 1, side)
        wave = np.sin(span * side / 12 * math.pi)
        window = np.exp(-4 * (span[:, None] ** 2 + span**2))
        pixels[y : y + side, x : x + side] += 100 * (window * np.expand_dims(wave, axis))[..., None]

    return paint


def around(count: int, *radii: float) -> list[tuple[float, float]]:
    """Corners around the middle."""
    turns = np.arange(count) * 2 * math.pi / count
    return [
        (radius * math.sin(turn), -radius * math.cos(turn))
        for turn, radius in zip(turns, itertools.cycle(radii), strict=False)
    ]


DRAWERS: dict[str, dict[str, Callable[[np.ndarray, Box], None]]] = {
    "colour": {
        "red": coloured((215, 40, 40)),
        "green": coloured((40, 160, 60)),
        "blue": coloured((45, 80, 220)),
        "yellow": coloured((235, 205, 30)),
    },
    "shape": {
        "circle": black(*around(60, 1)),
        "star": black(*around(10, 1, 0.4)),
        "triangle": black((-1, 1), (0, -1), (1, 1)),
    },
    "stripes": {"across": striped(1), "upright": striped(0)},
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("pictures", nargs="?", type=int, default=600)
    main(**vars(parser.parse_args()))
