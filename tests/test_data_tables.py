"""Annotations in CSV and TFRecord files."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cam.data import AnnotationError, ProblemKind, read_annotations
from keras_cam.images.files import ImageError


def save(path, size_wh=(40, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size_wh, (10, 20, 30)).save(path)


def test_rows_of_a_csv_file_are_labels_and_boxes(tmp_path):
    for name in "abc":
        save(tmp_path / f"{name}.png")
    (tmp_path / "photos.csv").write_text(
        "image,label,xmin,ymin,xmax,ymax,split,note\n"
        "a.png,dog,1,2,11,12,train,\n"
        "a.png,cat,0,0,5,5,train,second\n"
        "b.png,cat,,,,,train,no box\n"
        "c.png,bird,,,,,test,\n"
    )
    train = read_annotations(tmp_path / "photos.csv", "train", strict=True)
    assert train.class_names == ("bird", "cat", "dog")  # those of all splits
    assert [image.labels for image in train] == [(2, 1), (1,)]
    assert train[0].boxes_xyxy.tolist() == [[1, 2, 11, 12], [0, 0, 5, 5]]
    assert [image.name for image in read_annotations(tmp_path / "photos.csv", "test")] == ["c.png"]
    assert len(read_annotations(tmp_path / "photos.csv")) == 3
    (tmp_path / "photos.csv").rename(tmp_path / "val.csv")
    named = read_annotations(tmp_path, "val", class_names=["dog", "cat", "bird"])
    assert [image.label for image in named] == [0, 1, 2]


def test_what_is_wrong_in_a_csv_file_is_told_by_line(tmp_path):
    save(tmp_path / "a.png")
    path = tmp_path / "photos.csv"
    path.write_text("image,label,xmin,ymin,xmax,ymax\na.png,cat,1,2,x,4\na.png,,1,2,3,4\nnone.png,cat,,,,\n")
    found = read_annotations(path)
    assert [(problem.kind, problem.item) for problem in found.problems] == [
        (ProblemKind.UNREADABLE_ANNOTATION, "line 2"),
        (ProblemKind.UNKNOWN_CATEGORY, "line 3"),
        (ProblemKind.MISSING_FILE, "image none.png"),
    ]
    with pytest.raises(ValueError, match=r"`split` must be one of \[''\] for .*Received: split='train'"):
        read_annotations(path, "train")
    path.write_text("file,class\na.png,cat\n")
    with pytest.raises(AnnotationError, match=r"columns image and label\. Found: \['file', 'class'\]"):
        read_annotations(path)


def encoded(size_wh=(40, 20), colour=(10, 20, 30), kind="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size_wh, colour).save(file, kind)
    return file.getvalue()


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, float | list):
        return tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(value)))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def write_records(path, *examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = {key: feature(value) for key, value in example.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def boxes(**sides):
    return {f"image/object/bbox/{side}": value for side, value in sides.items()}


def test_examples_of_the_detection_tools(tmp_path):
    write_records(
        tmp_path / "train-00000-of-00001.tfrecord",
        {
            "image/encoded": encoded(), "image/class/label": 7, "image/class/text": b"cat",
            "image/filename": b"one.png",
            **boxes(xmin=[0.25, 0.0], ymin=[0.5, 0.0], xmax=[1.0, 0.5], ymax=[1.0, 0.5]),
        },
        {"image/encoded": encoded((8, 8), kind="JPEG"), "image/class/label": 3, "image/class/text": b"dog"},
    )  # fmt: skip
    write_records(tmp_path / "test-0.tfrecord", {"image/encoded": encoded(), "image/class/label": 7})
    found = read_annotations(tmp_path, "train", strict=True)
    assert found.class_names == ("dog", "cat")  # labels 3 and 7
    one, two = found
    assert (one.name, one.label, one.size_wh) == ("one.png", 1, (40, 20))
    assert one.boxes_xyxy.tolist() == [[10, 10, 40, 20], [0, 0, 20, 10]]
    assert one.read()[0, 0].tolist() == [10, 20, 30]
    assert (two.label, two.read().shape, two.encoded()) == (0, (8, 8, 3), encoded((8, 8), kind="JPEG"))
    assert len(read_annotations(tmp_path / "test-0.tfrecord")) == 1


def test_plain_keys_and_a_file_of_labels(tmp_path):
    write_records(
        tmp_path / "some.tfrecord", {"image": encoded(), "label": 1}, {"image": b"none", "label": 0}
    )
    (tmp_path / "labels.txt").write_text("bird\ncat\ndog\n")
    found = read_annotations(tmp_path)
    assert found.class_names == ("bird", "cat", "dog")
    assert [image.label for image in found] == [1]
    assert found.problem_counts == {ProblemKind.UNREADABLE_IMAGE: 1}
    (tmp_path / "labels.txt").write_text("bird\n")
    with pytest.raises(
        AnnotationError, match=r"must have a line for each label\. Received: 1 lines and label 1"
    ):
        read_annotations(tmp_path)


def test_broken_files_are_told(tmp_path):
    path = tmp_path / "broken.tfrecord"
    write_records(path, {"image": encoded(), "label": 1})
    whole = path.read_bytes()
    image = read_annotations(path)[0]
    path.write_bytes(whole[:-20])
    with pytest.raises(AnnotationError, match="record 0 is damaged or ends in the middle"):
        read_annotations(path)
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"broken\.tfrecord:0"):
        image.read()
    write_records(path, {"label": 1})
    with pytest.raises(AnnotationError, match=r"Record 0 of .* has neither image/encoded nor image"):
        read_annotations(path)


def test_a_changed_byte_is_noticed_by_the_checksum(tmp_path):
    path = tmp_path / "flipped.tfrecord"
    write_records(path, {"image": encoded(), "label": 1}, {"image": encoded(), "label": 0})
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + 60] ^= 1  # in the image of the second record
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=r"flipped\.tfrecord .* record 1 is damaged"):
        read_annotations(path)


def test_boxes_with_sides_of_unequal_number_are_broken(tmp_path):
    sides = boxes(xmin=[0.0, 0.1], ymin=[0.0], xmax=[0.5, 0.6], ymax=[0.5, 0.6])
    write_records(tmp_path / "a.tfrecord", {"image": encoded(), "label": 1, **sides})
    [image] = found = read_annotations(tmp_path)
    assert (image.label, len(image.boxes_xyxy)) == (0, 0)
    assert found.problem_counts == {ProblemKind.UNREADABLE_ANNOTATION: 1}
    assert "2, 1, 2, 2, 2 values of xmin, ymin, xmax, ymax and labels" in found.problems[0].detail


def test_a_label_with_two_names_is_broken_and_a_name_may_have_two_labels(tmp_path):
    named = [(134, b"crane"), (134, b"crane"), (134, b"bird"), (517, b"crane"), (600, b"hook")]
    examples = [
        {"image/encoded": encoded(), "image/class/label": label, "image/class/text": text}
        for label, text in named
    ]
    write_records(tmp_path / "a.tfrecord", *examples)
    found = read_annotations(tmp_path)
    assert found.class_names == ("crane", "crane", "hook")
    assert found.labels.tolist() == [0, 0, 1, 2]
    [problem] = found.problems
    assert problem.kind == ProblemKind.UNREADABLE_ANNOTATION
    assert problem.detail == "label 134 is 'bird' here and 'crane' elsewhere"


def test_an_empty_csv_file_has_no_columns(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(AnnotationError, match="must have a header with the columns image and label"):
        read_annotations(tmp_path / "empty.csv")
