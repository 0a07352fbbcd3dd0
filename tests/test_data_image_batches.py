"""From annotated images to batches of pixels, classes and boxes."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cam.data import AnnotatedImage, AnnotatedImages, decode_error, to_dataset
from keras_cam.images.batches import read_batches
from keras_cam.images.files import read_image


def annotated(folder, sizes_wh, boxes=()):
    """Noise of these sizes; the boxes go round, the class of box i is i."""
    rng = np.random.default_rng(0)
    images = []
    for position, (width, height) in enumerate(sizes_wh):
        path = str(folder / f"{position}.png")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
        own = np.array(boxes[: position % (len(boxes) + 1)], np.float32).reshape(-1, 4)
        images.append(
            AnnotatedImage(
                str(position), path, position, (position,), own, np.arange(len(own)), (width, height)
            )
        )
    return AnnotatedImages("noise", tuple(map(str, range(len(images)))), tuple(images))


def test_boxes_are_padded_and_relative(tmp_path):
    data = annotated(tmp_path, [(40, 20), (20, 10), (80, 40)], [(2, 1, 10, 5), (0, 0, 20, 10)])
    first, second = to_dataset(data, (8, 12), batch_size=2)
    assert first["images"].shape == (2, 8, 12, 3)
    assert first["images"].dtype == tf.float32
    assert second["images"].shape == (1, 8, 12, 3)
    np.testing.assert_array_equal(first["index"], [0, 1])
    np.testing.assert_array_equal(second["index"], [2])
    np.testing.assert_array_equal(first["labels"], [0, 1])
    np.testing.assert_array_equal(first["num_boxes"], [0, 1])
    np.testing.assert_array_equal(first["box_labels"], [[-1, -1], [0, -1]])
    np.testing.assert_allclose(first["boxes_yxyx"], [np.zeros((2, 4)), [[0.1, 0.1, 0.5, 0.5], [0] * 4]])
    np.testing.assert_allclose(second["boxes_yxyx"], [[[1 / 40, 2 / 80, 1 / 8, 1 / 8], [0, 0, 0.25, 0.25]]])
    np.testing.assert_array_equal(second["sizes_wh"], [[80, 40]])
    assert first["errors"].numpy().tolist() == [b"", b""]


def test_the_whole_image_is_resized_with_antialiasing(tmp_path):
    data = annotated(tmp_path, [(64, 48)])
    [batch] = to_dataset(data, (6, 8))
    pixels = read_image(data[0].image).astype("float32")
    np.testing.assert_allclose(
        batch["images"][0],
        tf.clip_by_value(tf.image.resize(pixels, (6, 8), "bicubic", antialias=True), 0, 255),
        atol=0.01,
    )


def test_a_broken_image_keeps_its_place(tmp_path):
    data = annotated(tmp_path, [(40, 20)] * 4, [(2, 1, 10, 5)])
    (tmp_path / "1.png").write_bytes(b"no image")
    (tmp_path / "2.png").unlink()
    Image.new("RGB", (20, 40)).save(tmp_path / "3.png")
    [batch] = to_dataset(data, (8, 12))
    errors = [decode_error(error) for error in batch["errors"].numpy()]
    assert errors[0] == ""
    assert errors[1].endswith("1.png: not an image")
    assert errors[2].endswith("2.png: no such file or directory")
    assert errors[3].endswith("3: 20 x 40 pixels, but annotated as 40 x 20")
    np.testing.assert_array_equal(batch["labels"], [0, 1, 2, 3])
    np.testing.assert_array_equal(batch["num_boxes"], [0, 0, 0, 0])
    np.testing.assert_array_equal(batch["box_labels"], [[-1]] * 4)
    assert np.all(batch["images"][1:] == 0)
    assert np.any(batch["images"][0] != 0)


def test_the_order_is_that_of_the_data(tmp_path):
    data = annotated(tmp_path, [(8 + 40 * (i % 3), 8) for i in range(20)])
    for _ in range(2):
        batches = list(to_dataset(data, (4, 4), batch_size=3))
        np.testing.assert_array_equal(np.concatenate([batch["index"] for batch in batches]), range(20))


def test_shapes_are_known_before_the_first_batch(tmp_path):
    spec = to_dataset(annotated(tmp_path, [(8, 8)] * 3, [(0, 0, 4, 4)] * 2), (5, 6)).element_spec
    shapes = {name: tensor.shape.as_list() for name, tensor in spec.items()}
    assert shapes == {
        "index": [None],
        "images": [None, 5, 6, 3],
        "labels": [None],
        "boxes_yxyx": [None, 2, 4],
        "box_labels": [None, 2],
        "num_boxes": [None],
        "sizes_wh": [None, 2],
        "errors": [None],
    }


def test_images_without_boxes(tmp_path):
    [batch] = to_dataset(annotated(tmp_path, [(8, 8)] * 2), (4, 4))
    assert batch["boxes_yxyx"].shape == (2, 0, 4)
    assert batch["box_labels"].shape == (2, 0)


def test_a_programming_error_is_not_taken_for_a_broken_image():
    def read(index):
        raise KeyError("typo")

    with pytest.raises(KeyError, match="typo"):
        list(read_batches(read, 1, (4, 4), batch_size=8))


@pytest.mark.parametrize("arguments", [{"size_hw": (0, 4)}, {"size_hw": (4,)}, {"batch_size": 0}])
def test_sizes_are_positive(arguments, tmp_path):
    with pytest.raises(ValueError, match=r"at least 1\. Received: size_hw="):
        to_dataset(annotated(tmp_path, [(8, 8)]), **({"size_hw": (4, 4)} | arguments))
