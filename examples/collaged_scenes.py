"""Collages two kinds of scenes from photos of scikit-image, and says which objects are where in them.

    python examples/collaged_scenes.py FOLDER

writes `FOLDER/train/cafe` and `FOLDER/train/garage`, 40 pictures each, for a classifier of scenes; and 20
others each in `FOLDER/test`, with their objects in `FOLDER/test.json` (COCO JSON). A cafe has a cup, a garage
has a motorcycle; cats, rockets and cameras are in either, and all have a floor.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

SIZE_WH = (480, 360)
OBJECTS = {
    "cup": data.coffee()[20:350, 90:470],
    "motorcycle": data.stereo_motorcycle()[0][80:440, 40:700],
    "cat": data.chelsea()[10:280, 60:400],
    "rocket": data.rocket()[60:360, 220:420],
    "camera": np.stack([data.camera()[60:300, 160:400]] * 3, axis=-1),
}
FLOORS = [data.gravel(), data.brick(), data.grass()]
CATEGORIES = ["floor", *OBJECTS]
TELLING = {"cafe": "cup", "garage": "motorcycle"}
COMMON = ("cat", "rocket", "camera")


def main(folder: str) -> None:
    """Writes both parts."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for split, count in (("train", 40), ("test", 20)):
        for scene, telling in TELLING.items():
            (Path(folder) / split / scene).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                file = f"{split}/{scene}/{number}.png"
                picture, found = collage([telling, *rng.choice(COMMON, 2, replace=False)], rng)
                picture.save(Path(folder) / file)
                if split == "test":
                    image = {"id": len(images), "file_name": file, "width": SIZE_WH[0], "height": SIZE_WH[1]}
                    annotations += [{**one, "image_id": image["id"]} for one in found]
                    images.append(image)
    categories = [{"id": number, "name": name} for number, name in enumerate(CATEGORIES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (Path(folder) / "test.json").write_text(json.dumps(document))


def collage(names: list[str], rng: np.random.Generator) -> tuple[Image.Image, list[dict]]:
    """Objects side by side, in any order and of any size, on a floor; and what is where."""
    floor = Image.fromarray(FLOORS[rng.integers(len(FLOORS))]).convert("RGB")
    picture = floor.resize(SIZE_WH)
    found = [{"category_id": 0, "bbox": [0, 0, *SIZE_WH]}]
    slot = SIZE_WH[0] // len(names)
    for place, name in enumerate(rng.permutation(names)):
        photo = Image.fromarray(OBJECTS[name])
        photo.thumbnail((int(slot * rng.uniform(0.75, 1)), SIZE_WH[1] // 2))
        x = place * slot + int(rng.integers(slot - photo.width + 1))
        y = int(rng.integers(SIZE_WH[1] - photo.height + 1))
        picture.paste(photo, (x, y))
        found.append({"category_id": CATEGORIES.index(name), "bbox": [x, y, photo.width, photo.height]})
    return picture, found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    main(**vars(parser.parse_args()))
