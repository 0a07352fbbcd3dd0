"""The development sets, where the environment variable KERAS_CAM_DATA names their folder."""

import numpy as np
import pytest

from keras_cam.data import read_annotations, to_dataset

SETS = [
    ("ilsvrc_val_dev", None, 654, 1000, 948),
    ("cub10", "train", 300, 10, 300),
    ("cub10", "test", 243, 10, 243),
    ("pets3", "train", 300, 3, 300),
    ("pets3", "test", 298, 3, 298),
    ("tiny_imagenet20", "train", 10_000, 20, 10_000),
    ("tiny_imagenet20", "test", 1_000, 20, 1_000),
]


@pytest.mark.parametrize(("name", "split", "images", "classes", "boxes"), SETS)
def test_counts(name, split, images, classes, boxes, real_data):
    annotated = read_annotations(real_data / name, split, strict=True)
    assert (len(annotated), len(annotated.class_names)) == (images, classes)
    assert sum(len(image.boxes_xyxy) for image in annotated) == boxes
    assert all(image.label in image.box_labels for image in annotated)


def test_class_indices_of_ilsvrc_are_its_ids(real_data):
    annotated = read_annotations(real_data / "ilsvrc_val_dev")
    assert annotated.class_names[0] == "tench, Tinca tinca"
    assert annotated.class_names[999] == "toilet tissue, toilet paper, bathroom tissue"
    assert annotated[0].label == 260


def test_batches(real_data):
    annotated = read_annotations(real_data / "pets3", "test")[:20]
    batches = list(to_dataset(annotated, (64, 64), batch_size=8))
    assert [len(batch["index"]) for batch in batches] == [8, 8, 4]
    for batch in batches:
        assert np.all(batch["errors"].numpy() == b"")
        y0, x0, y1, x1 = np.moveaxis(batch["boxes_yxyx"].numpy(), -1, 0)
        assert np.all((y0 >= 0) & (y0 < y1) & (y1 <= 1) & (x0 >= 0) & (x0 < x1) & (x1 <= 1))
