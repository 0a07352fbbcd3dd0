"""Data sets of TensorFlow Datasets, made here: nothing is downloaded."""

import logging

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_cam.data import AnnotatedImage, AnnotationError, ProblemKind, read_annotations, to_dataset
from keras_cam.data.tfds_source import TfdsImage
from keras_cam.images.files import ImageError

BOX = tfds.features.BBox(ymin=0.1, xmin=0.25, ymax=0.5, xmax=1.0)
OTHER = tfds.features.BBox(ymin=0.0, xmin=0.0, ymax=1.0, xmax=0.5)
XYXY, OTHER_XYXY = [10, 3, 40, 15], [0, 0, 20, 30]  # of 40 x 30 pixels


def photo(value):
    return np.full((30, 40, 3), value, np.uint8)


class KerasCamBirds(tfds.core.GeneratorBasedBuilder):
    """As caltech_birds2011: one class and one box an image."""

    VERSION = tfds.core.Version("1.0.0")
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(),
            "file_name": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=["auk", "wren"]),
            "bbox": tfds.features.BBoxFeature(),
        }
    )

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=self.features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(3), "test": self._generate_examples(2)}

    def _generate_examples(self, count):
        for i in range(count):
            yield i, {"image": photo(i), "file_name": f"{i}.jpg", "label": i % 2, "bbox": BOX}


class KerasCamScenes(KerasCamBirds):
    """As voc: several objects with classes, in one split; the image says some of its classes itself."""

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 1)),
            "labels": tfds.features.Sequence(tfds.features.ClassLabel(names=["cat", "dog"])),
            "objects": tfds.features.Sequence(
                {
                    "bbox": tfds.features.BBoxFeature(),
                    "label": tfds.features.ClassLabel(names=["cow", "dog", "cat"]),
                }
            ),
        }
    )

    def _split_generators(self, dl_manager):
        return {"validation": self._generate_examples(3)}

    def _generate_examples(self, count):
        objects = [
            {"bbox": BOX, "label": "dog"},
            {"bbox": OTHER, "label": "cat"},
            {"bbox": BOX, "label": "cow"},
        ]
        for i in range(count):
            yield i, {"image": photo(i)[..., :1], "labels": ["dog"] * (i > 0), "objects": objects * (i > 1)}


class KerasCamWords(KerasCamBirds):
    """Nothing to see here."""

    features = tfds.features.FeaturesDict({"image": tfds.features.Image(), "text": tfds.features.Text()})

    def _generate_examples(self, count):
        yield 0, {"image": photo(0), "text": "word"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    tfds.disable_progress_bar()
    logging.getLogger("absl").setLevel(logging.ERROR)
    folder = tmp_path_factory.mktemp("tfds")
    # The folder of a builder's code, which has its checksums; a test file is no package and has none.
    KerasCamBirds.pkg_dir_path = KerasCamScenes.pkg_dir_path = KerasCamWords.pkg_dir_path = folder
    return folder


def test_one_box_an_image(data_dir):
    annotated = read_annotations("tfds:keras_cam_birds:train", data_dir=data_dir, strict=True)
    assert annotated.class_names == ("auk", "wren")
    assert sorted(image.name for image in annotated) == ["0.jpg", "1.jpg", "2.jpg"]
    for image in annotated:  # tfds shuffles while it prepares
        number = int(image.name[0])
        assert (image.label, image.labels, image.size_wh) == (number % 2, (number % 2,), (40, 30))
        np.testing.assert_allclose(image.boxes_xyxy, [XYXY], atol=1e-5)
        np.testing.assert_array_equal(image.read(), photo(number))


def test_splits(data_dir):
    for arguments in (("tfds:keras_cam_birds:test",), ("tfds:keras_cam_birds", "test")):
        assert len(read_annotations(*arguments, data_dir=data_dir)) == 2
    assert len(read_annotations("tfds:keras_cam_birds:1.0.0:train[:1]", data_dir=data_dir)) == 1
    assert len(read_annotations("tfds:keras_cam_scenes", data_dir=data_dir)) == 2  # one split, one unlabelled
    with pytest.raises(ValueError, match=r"`split` must be one of \['test', 'train'\]"):
        read_annotations("tfds:keras_cam_birds", data_dir=data_dir)
    with pytest.raises(ValueError, match="`split` must be None"):
        read_annotations("tfds:keras_cam_birds:test", "train", data_dir=data_dir)
    with pytest.raises(ValueError, match="`source` must be tfds:NAME"):
        read_annotations("tfds::", data_dir=data_dir)
    with pytest.raises(ValueError, match="`images_dir` must be None"):
        read_annotations("tfds:keras_cam_birds:test", images_dir=data_dir)


def test_objects_with_classes(data_dir):
    annotated = read_annotations("tfds:keras_cam_scenes:validation", data_dir=data_dir)
    assert annotated.problem_counts == {ProblemKind.NO_LABEL: 1, ProblemKind.UNKNOWN_CATEGORY: 1}
    plain, rich = sorted(annotated, key=lambda image: len(image.boxes_xyxy))
    assert (plain.label, plain.labels, len(plain.boxes_xyxy)) == (1, (1,), 0)
    assert (rich.label, rich.labels) == (1, (1, 0))
    np.testing.assert_allclose(rich.boxes_xyxy, [XYXY, OTHER_XYXY], atol=1e-5)
    assert rich.box_labels.tolist() == [1, 0]
    np.testing.assert_array_equal(rich.read(), photo(2))  # grey became RGB


def test_batches_read_from_the_data_set(data_dir):
    annotated = read_annotations("tfds:keras_cam_birds:train", data_dir=data_dir)
    [batch] = to_dataset(annotated, (15, 20), batch_size=4)
    values = [float(image.name[0]) for image in annotated]
    np.testing.assert_allclose(batch["images"][:, 7, 7, 0], values, atol=1e-4)
    np.testing.assert_allclose(batch["boxes_yxyx"][:, 0], [[0.1, 0.25, 0.5, 1]] * 3, atol=1e-6)


def test_other_features_are_an_error(data_dir):
    with pytest.raises(AnnotationError, match=r"must have the features .* Found: \['image', 'text'\]"):
        read_annotations("tfds:keras_cam_words:test", data_dir=data_dir)


def test_data_without_random_access_are_an_error_that_tells_the_way_out(data_dir, tmp_path):
    tfds.builder("keras_cam_birds", data_dir=tmp_path, file_format="tfrecord").download_and_prepare()
    with pytest.raises(AnnotationError, match="must be prepared with file_format='array_record'"):
        read_annotations("tfds:keras_cam_birds:test", data_dir=tmp_path)


def test_an_image_that_cannot_be_decoded():
    image = AnnotatedImage("7", TfdsImage([{"image": b"no image"}], 0, "image 7"), 0, (0,))
    with pytest.raises(ImageError, match="Cannot read image 7: "):
        image.read()
