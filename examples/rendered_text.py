"""Renders words into photos, in Street View Text's layout, and takes other photos as they are.

    python examples/rendered_text.py FOLDER [PHOTOS]

writes `FOLDER/train` and `FOLDER/test`, each with the folders `with` and `without` and an XML file that says
where the words are. Words, fonts and photos of the test are not those of the training. PHOTOS is a folder; by
default parts of six photos of scikit-image are taken.
"""

import argparse
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from keras_cam.images.files import find_images, read_image

SIDE = 320
FONTS = {
    "train": ("DejaVuSans-Bold", "DejaVuSerif", "cmr10", "DejaVuSansMono", "STIXGeneralBol"),
    "test": ("DejaVuSerif-Bold", "cmss10", "DejaVuSansMono-Bold"),
}
WORDS = {
    "train": [
        "BAKERY",
        "Hotel",
        "OPEN",
        "market",
        "Street",
        "coffee",
        "PIZZA",
        "museum",
        "SALE",
        "Books",
        "garage",
        "BANK",
        "taxi",
        "Station",
    ],
    "test": [
        "PHARMACY",
        "Theatre",
        "music",
        "GALLERY",
        "Parking",
        "salon",
        "LIBRARY",
        "Diner",
        "flowers",
        "CINEMA",
    ],
}


def main(folder: str, photos: str | None = None, pictures: int = 120) -> None:
    """Writes both parts."""
    for number, split in enumerate(("train", "test")):
        backgrounds = of_scikit_image(split) if photos is None else in_folder(photos, number)
        render(Path(folder) / split, split, backgrounds, pictures if split == "train" else pictures // 2)


def of_scikit_image(split: str) -> list[np.ndarray]:
    """Three photos."""
    if split == "train":
        return [data.astronaut(), data.coffee(), data.stereo_motorcycle()[0]]
    return [data.chelsea(), data.rocket(), np.stack([data.camera()] * 3, axis=-1)]


def in_folder(photos: str, number: int) -> list[np.ndarray]:
    """Every other photo of a folder."""
    return [read_image(file) for file in find_images([photos])[number::2]]


def render(folder: Path, split: str, photos: list[np.ndarray], count: int) -> None:
    """Writes `count` pictures with a word, as many without, and the XML file."""
    rng = np.random.default_rng(len(split))
    tagset = Element("tagset")
    for kind in ("with", "without"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        part_of(photos, rng).save(folder / "without" / f"{number}.png")
        picture = part_of(photos, rng)
        word, box = write_word(picture, split, rng)
        picture.save(folder / "with" / f"{number}.png")
        image = SubElement(tagset, "image")
        SubElement(image, "imageName").text = f"with/{number}.png"
        rectangles = SubElement(image, "taggedRectangles")
        rectangle = SubElement(rectangles, "taggedRectangle", {key: str(value) for key, value in box.items()})
        SubElement(rectangle, "tag").text = word
    ElementTree(tagset).write(folder / f"{split}.xml")


def part_of(photos: list[np.ndarray], rng: np.random.Generator) -> Image.Image:
    """A random square of a random photo."""
    photo = photos[rng.integers(len(photos))]
    side = int(min(photo.shape[:2]) * rng.uniform(0.5, 0.95))
    y, x = (rng.integers(length - side) for length in photo.shape[:2])
    return Image.fromarray(photo[y : y + side, x : x + side]).resize((SIDE, SIDE))


def write_word(picture: Image.Image, split: str, rng: np.random.Generator) -> tuple[str, dict[str, int]]:
    """Writes a word of any colour anywhere, and says where."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    font = ImageFont.truetype(str(fonts / f"{rng.choice(FONTS[split])}.ttf"), int(rng.integers(32, 64)))
    word = str(rng.choice(WORDS[split]))
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = map(int, draw.textbbox((0, 0), word, font=font))
    width, height = right - left, bottom - top
    x, y = int(rng.integers(4, max(5, SIDE - 4 - width))), int(rng.integers(4, SIDE - 4 - height))
    colour = rng.integers(0, 256, 3)
    edge = tuple((255 - colour).tolist())
    draw.text((x - left, y - top), word, tuple(colour.tolist()), font, stroke_width=2, stroke_fill=edge)
    return word, {"x": x, "y": y, "width": width, "height": height}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("photos", nargs="?")
    main(**vars(parser.parse_args()))
