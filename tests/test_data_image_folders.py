"""Image folders: labels from folders, boxes from XML files, and what can be wrong with both."""

import pytest
from PIL import Image

from keras_cam.data import AnnotationError, ProblemKind, read_annotations

K = ProblemKind


def save(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(path)


def xml(path, *objects, size="<size><width>40</width><height>30</height></size>"):
    boxes = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>"
        f"<ymax>{y1}</ymax></bndbox></object>"
        for name, x0, y0, x1, y1 in objects
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation>{size}{boxes}</annotation>")


@pytest.fixture
def pets(tmp_path):
    save(tmp_path / "cat/1.png", tmp_path / "cat/2.PNG", tmp_path / "dog/1.jpg")
    return tmp_path


def test_labels_only(pets):
    save(pets / ".hidden/1.png", pets / "dog/.2.png")
    (pets / "empty").mkdir()
    (pets / "dog/notes.txt").write_text("good dog")
    annotated = read_annotations(pets, strict=True)
    assert annotated.class_names == ("cat", "dog", "empty")
    assert [image.name for image in annotated] == ["cat/1.png", "cat/2.PNG", "dog/1.jpg"]
    assert annotated.labels.tolist() == [0, 0, 1]
    assert all(image.boxes_xyxy.shape == (0, 4) and image.size_wh is None for image in annotated)


def test_class_names_set_the_order_and_what_is_a_class(pets):
    annotated = read_annotations(pets, class_names=["fish", "dog", "cat"], strict=True)
    assert annotated.labels.tolist() == [2, 2, 1]
    assert annotated.class_names == ("fish", "dog", "cat")
    with pytest.raises(ValueError, match=r"`class_names` must be unique\. Received twice: dog"):
        read_annotations(pets, class_names=["dog", "cat", "dog"])
    annotated = read_annotations(pets, class_names=["dog"])
    [problem] = annotated.problems
    assert (problem.kind, problem.file) == (K.UNKNOWN_CATEGORY, str(pets / "cat"))
    assert annotated.labels.tolist() == [0]


def test_an_image_can_show_other_classes_than_that_of_its_folder(pets):
    xml(pets / "dog/1.xml", ("cat", 2, 3, 4, 5), ("dog", 1, 1, 40, 30))
    dog = read_annotations(pets, strict=True)[2]
    assert (dog.label, dog.labels) == (1, (1, 0))
    assert dog.boxes_xyxy.tolist() == [[1, 2, 4, 5], [0, 0, 40, 30]]
    assert dog.box_labels.tolist() == [0, 1]


def test_what_lies_beside_the_image_wins(pets):
    xml(pets / "dog/1.xml", ("dog", 2, 3, 4, 5))
    xml(pets / "Annotations/dog/1.xml", ("dog", 6, 6, 7, 7))
    assert read_annotations(pets, strict=True)[2].boxes_xyxy.tolist() == [[1, 2, 4, 5]]


def test_a_single_folder_takes_its_classes_from_the_xml(tmp_path):
    """As the validation images of ILSVRC and those of PASCAL VOC."""
    photos = tmp_path / "JPEGImages"
    save(photos / "1.jpg", photos / "2.jpg", photos / "3.jpg")
    xml(tmp_path / "Annotations/1.xml", ("dog", 1, 1, 9, 9), ("cat", 2, 2, 9, 9))
    xml(tmp_path / "Annotations/2.xml", ("cat", 1, 1, 9, 9))
    annotated = read_annotations(photos)
    assert annotated.class_names == ("cat", "dog")
    assert [image.labels for image in annotated] == [(1, 0), (0,)]
    assert annotated.problem_counts == {K.NO_LABEL: 1}  # 3.jpg
    assert read_annotations(photos, class_names=["dog", "cat"]).labels.tolist() == [0, 1]


def test_images_beside_the_class_folders_have_no_label(pets):
    save(pets / "lost.png")
    [problem] = read_annotations(pets).problems
    assert (problem.kind, problem.file) == (K.NO_LABEL, str(pets / "lost.png"))


def test_without_a_size_in_the_xml_that_of_the_file_counts(pets):
    for size in ("", "<size><width>0</width><height>0</height></size>", "<size><width>x</width></size>"):
        xml(pets / "dog/1.xml", ("dog", 31, 1, 90, 9), size=size)
        annotated = read_annotations(pets)
        assert annotated[2].size_wh == (40, 30)
        assert annotated[2].boxes_xyxy.tolist() == [[30, 0, 40, 9]]
        assert annotated.problem_counts == {K.BOX_CLIPPED: 1}


BROKEN = {
    "unknown class": ([("cow", 1, 1, 9, 9)], K.UNKNOWN_CATEGORY, "object 1"),
    "no class": ([("", 1, 1, 9, 9)], K.UNREADABLE_ANNOTATION, "object 1"),
    "no number": ([("dog", 1, "", 9, 9)], K.UNREADABLE_ANNOTATION, "object 1"),
    "negative": ([("dog", 5, 1, 3, 9)], K.EMPTY_BOX, "image dog/1.jpg, object 1"),
    "outside": ([("dog", 1, 31, 9, 40)], K.BOX_OUTSIDE, "image dog/1.jpg, object 1"),
    "clipped": ([("dog", 1, 1, 50, 9)], K.BOX_CLIPPED, "image dog/1.jpg, object 1"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_objects(case, pets):
    objects, kind, item = BROKEN[case]
    xml(pets / "dog/1.xml", *objects)
    annotated = read_annotations(pets)
    [problem] = annotated.problems
    assert (problem.kind, problem.file, problem.item) == (kind, str(pets / "dog/1.xml"), item)
    assert annotated.labels.tolist() == [0, 0, 1]
    with pytest.raises(AnnotationError, match=str(kind)):
        read_annotations(pets, strict=True)


@pytest.mark.parametrize(
    "content", ["", "<annotation>", "no xml", '<?xml version="1.0" encoding="klingon"?><a/>']
)
def test_a_file_that_is_no_xml_costs_its_boxes_not_the_image(content, pets):
    (pets / "dog/1.xml").write_text(content)
    annotated = read_annotations(pets)
    [problem] = annotated.problems
    assert (problem.kind, problem.file) == (K.UNREADABLE_ANNOTATION, str(pets / "dog/1.xml"))
    assert len(annotated) == 3


def test_an_xml_file_without_an_image_is_told(pets):
    xml(pets / "Annotations/dog/9.xml", ("dog", 1, 1, 9, 9))
    [problem] = read_annotations(pets).problems
    assert (problem.kind, problem.file) == (K.UNKNOWN_IMAGE, str(pets / "Annotations/dog/9.xml"))
