"""Broken annotations are told, counted and skipped; with `strict` they are an error."""

import json

import pytest
from PIL import Image

from keras_cam.data import AnnotationError, ProblemKind, describe_problems, read_annotations

K = ProblemKind


def save(path, size_wh=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size_wh).save(path)


def coco(root, annotations=(), images=(), categories=()):
    """One good image and annotation, and more of them that are not."""
    save(root / "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}, *images],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}, *annotations],
        "categories": [{"id": 3, "name": "cat"}, *categories],
    }
    (root / "annotations.json").write_text(json.dumps(document))
    return root


def annotation(bbox=(1, 2, 3, 4), **changes):
    return {"id": 7, "image_id": 1, "category_id": 3, "bbox": bbox} | changes


COCO = {
    "empty box": ({"annotations": [annotation((5, 5, 0, 3))]}, K.EMPTY_BOX, "image 1, annotation 7"),
    "negative box": ({"annotations": [annotation((5, 5, 3, -3))]}, K.EMPTY_BOX, "image 1, annotation 7"),
    "outside": ({"annotations": [annotation((40, 5, 3, 3))]}, K.BOX_OUTSIDE, "image 1, annotation 7"),
    "no number": ({"annotations": [annotation((1, 2, "x", 4))]}, K.UNREADABLE_ANNOTATION, "annotation 7"),
    "three numbers": ({"annotations": [annotation((1, 2, 3))]}, K.UNREADABLE_ANNOTATION, "annotation 7"),
    "no box": ({"annotations": [annotation(3)]}, K.UNREADABLE_ANNOTATION, "annotation 7"),
    "nan": ({"annotations": [annotation((1, 2, float("nan"), 4))]}, K.UNREADABLE_ANNOTATION, "annotation 7"),
    "no entry": ({"annotations": [5]}, K.UNREADABLE_ANNOTATION, "annotation number 1"),
    "same id": ({"annotations": [annotation(id=1)]}, K.DUPLICATE_ID, "annotation 1"),
    "category": ({"annotations": [annotation(category_id=4)]}, K.UNKNOWN_CATEGORY, "annotation 7"),
    "category list": ({"annotations": [annotation(category_id=[])]}, K.UNKNOWN_CATEGORY, "annotation 7"),
    "image": ({"annotations": [annotation(image_id=9)]}, K.UNKNOWN_IMAGE, "annotation 7"),
    "image list": ({"annotations": [annotation(image_id=[1])]}, K.UNKNOWN_IMAGE, "annotation 7"),
    "missing": (
        {"images": [{"id": 2, "file_name": "b.png"}], "annotations": [annotation(image_id=2)]},
        K.MISSING_FILE,
        "image 2",
    ),
    "no label": ({"images": [{"id": 2, "file_name": "a.png"}]}, K.NO_LABEL, "image 2"),
    "no name": ({"images": [{"id": 2}]}, K.UNREADABLE_ANNOTATION, "image number 1"),
    "same image": ({"images": [{"id": 1, "file_name": "b.png"}]}, K.DUPLICATE_ID, "image 1"),
    "same category": ({"categories": [{"id": 3, "name": "dog"}]}, K.DUPLICATE_ID, "category 3"),
    "no category": ({"categories": ["dog"]}, K.UNREADABLE_ANNOTATION, "category number 1"),
}


@pytest.mark.parametrize("case", COCO)
def test_broken_coco(case, tmp_path):
    broken, kind, item = COCO[case]
    root = coco(tmp_path, **broken)
    annotated = read_annotations(root)
    [problem] = annotated.problems
    assert problem.kind == kind
    assert item in problem.item
    assert problem.file == str(root / "annotations.json")
    assert annotated.problem_counts == {kind: 1}
    assert str(annotated).endswith(f"1 image, 1 class, 1 box; 1 problem (1 {kind})")
    [image] = annotated
    assert image.boxes_xyxy.tolist() == [[1, 2, 4, 6]]
    assert (image.label, image.labels) == (0, (0,))
    with pytest.raises(AnnotationError, match=f"has 1 problem \\(1 {kind}\\): .*{item}"):
        read_annotations(root, strict=True)


def test_a_box_partly_outside_is_clipped_and_counted_from_one_pixel_on(tmp_path):
    boxes = [(-1, 5, 6, 5), (35, 25, 6, 6), (-3, 5, 6, 5), (30, 20, 20, 20)]
    annotated = read_annotations(coco(tmp_path, [annotation(box, id=9 + i) for i, box in enumerate(boxes)]))
    clipped = [[0, 5, 5, 10], [35, 25, 40, 30], [0, 5, 3, 10], [30, 20, 40, 30]]
    assert annotated[0].boxes_xyxy[1:].tolist() == clipped
    assert annotated.problem_counts == {K.BOX_CLIPPED: 2}
    detail = "x 30 to 50, y 20 to 40 of 40 x 30 pixels"
    assert str(annotated.problems[1]).endswith(
        f"annotations.json, image 1, annotation 12: box partly outside the image ({detail})"
    )


def test_without_a_size_that_of_the_file_counts(tmp_path):
    root = coco(tmp_path, [annotation((40, 5, 3, 3), image_id=2)], [{"id": 2, "file_name": "sub/b.png"}])
    save(root / "sub/b.png", (50, 30))
    assert read_annotations(root)[1].size_wh == (50, 30)
    (root / "sub/b.png").write_bytes(b"not an image")
    annotated = read_annotations(root)
    assert len(annotated) == 1
    assert annotated.problem_counts == {K.UNREADABLE_IMAGE: 1}


def test_a_turned_photo_has_the_size_that_people_see(tmp_path):
    root = coco(tmp_path, [annotation((1, 35, 3, 3), image_id=2)], [{"id": 2, "file_name": "turned.jpg"}])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(root / "turned.jpg", exif=exif)
    image = read_annotations(root, strict=True)[1]
    assert image.size_wh == (30, 40)
    assert image.read().shape == (40, 30, 3)


def test_crowds_and_annotations_without_a_box_are_labels(tmp_path):
    more = [annotation(iscrowd=1, category_id=8), annotation(id=8, bbox=[], category_id=5)]
    categories = [{"id": 8, "name": "crow"}, {"id": 5}]
    [image] = read_annotations(coco(tmp_path, more, categories=categories), strict=True)
    assert image.labels == (0, 2, 1)
    assert len(image.boxes_xyxy) == 1


def test_the_label_of_a_broken_box_stays(tmp_path):
    root = coco(tmp_path, [annotation((5, 5, 0, 3), image_id=2)], [{"id": 2, "file_name": "a.png"}])
    image = read_annotations(root)[1]
    assert (image.label, image.boxes_xyxy.shape, image.box_labels.shape) == (0, (0, 4), (0,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "as JSON"),
        ("[]", "must be COCO JSON with the lists images, annotations, categories. Found: list"),
        ('{"images": []}', r"Found: \['images'\]"),
        ('{"images": [], "annotations": [], "categories": []}', "There is no usable image in"),
    ],
)
def test_a_file_that_is_no_coco_json(text, message, tmp_path):
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(tmp_path)


def test_nothing_usable_is_an_error_that_says_why(tmp_path):
    root = coco(tmp_path)
    (root / "a.png").unlink()
    with pytest.raises(AnnotationError, match=r"no usable image in .* It has 1 problem \(1 missing file\)"):
        read_annotations(root)


def test_a_strict_error_counts_all_problems_and_tells_the_first(tmp_path):
    broken = [annotation((5, 5, 0, 3), id=10 + i) for i in range(4)]
    broken += [annotation(category_id=99, id=20 + i) for i in range(3)]
    annotated = read_annotations(coco(tmp_path, broken))
    message = r"has 7 problems \(3 unknown category, 4 empty box\)|has 7 problems \(4 empty box, 3 unknown"
    with pytest.raises(AnnotationError, match=message) as error:
        read_annotations(tmp_path, strict=True)
    assert str(error.value).count("; ") == 5
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("…")
    assert len(describe_problems(annotated.problems, first=7).splitlines()) == 8


def cub200(root):
    save(root / "images/one/a b.jpg")
    save(root / "images/two/b.jpg")
    tables = {
        "images": "1 one/a b.jpg\n2 two/b.jpg\n",
        "image_class_labels": "1 1\n2 10\n",
        "classes": "10 two\n1 one\n",
        "bounding_boxes": "1 1.0 2.0 3.0 4.0\n2 5 5 5 5\n",
    }
    for name, text in tables.items():
        (root / f"{name}.txt").write_text(text)
    return root


def test_cub_as_it_is(tmp_path):
    annotated = read_annotations(cub200(tmp_path), strict=True)
    assert annotated.class_names == ("one", "two")  # by number, not by text
    assert annotated.labels.tolist() == [0, 1]
    (tmp_path / "bounding_boxes.txt").unlink()
    assert [len(image.boxes_xyxy) for image in read_annotations(tmp_path, strict=True)] == [0, 0]
    with pytest.raises(AnnotationError, match=r"Cannot read .*train_test_split\.txt"):
        read_annotations(tmp_path, "train")


CUB = {
    "labels of no image": ("image_class_labels", "3 1\n", K.UNKNOWN_IMAGE),
    "boxes of no image": ("bounding_boxes", "3 1 1 1 1\n", K.UNKNOWN_IMAGE),
    "three numbers": ("bounding_boxes", "1 1 1 1\n", K.UNREADABLE_ANNOTATION),
    "no numbers": ("bounding_boxes", "1 1 1 1 x\n", K.UNREADABLE_ANNOTATION),
    "nan": ("bounding_boxes", "1 1 1 1 nan\n", K.UNREADABLE_ANNOTATION),
    "outside": ("bounding_boxes", "1 50 1 1 1\n", K.BOX_OUTSIDE),
    "clipped": ("bounding_boxes", "1 30 1 20 1\n", K.BOX_CLIPPED),
    "no class": ("image_class_labels", "1 1\n", K.DUPLICATE_ID),
    "same image": ("images", "1 two/b.jpg\n", K.DUPLICATE_ID),
    "same class": ("classes", "1 uno\n", K.DUPLICATE_ID),
    "no label": ("images", "3 two/b.jpg\n", K.NO_LABEL),
    "no path": ("images", "3\n", K.UNREADABLE_ANNOTATION),
}


@pytest.mark.parametrize("case", CUB)
def test_broken_cub(case, tmp_path):
    name, line, kind = CUB[case]
    with (cub200(tmp_path) / f"{name}.txt").open("a") as file:
        file.write(line)
    annotated = read_annotations(tmp_path)
    assert annotated.problem_counts == {kind: 1}
    assert annotated.labels.tolist() == [0, 1]
    with pytest.raises(AnnotationError, match=str(kind)):
        read_annotations(tmp_path, strict=True)


def test_cub_with_an_unknown_class_and_a_missing_file(tmp_path):
    (cub200(tmp_path) / "image_class_labels.txt").write_text("1 1\n2 5\n")
    assert read_annotations(tmp_path).problem_counts == {K.UNKNOWN_CATEGORY: 1, K.NO_LABEL: 1}
    (tmp_path / "images/two/b.jpg").unlink()
    (tmp_path / "image_class_labels.txt").write_text("1 1\n2 10\n")
    [problem] = read_annotations(tmp_path).problems
    assert (problem.kind, problem.item) == (K.MISSING_FILE, "image 2")


def wsol(root):
    save(root / "val/a,b.JPEG")
    save(root / "val/c.JPEG")
    tables = {
        "image_ids": "val/a,b.JPEG\nval/c.JPEG\n",
        "class_labels": "val/a,b.JPEG,2\nval/c.JPEG,0\n",
        "image_sizes": "val/a,b.JPEG,40,30\nval/c.JPEG,40,30\n",
        "localization": "val/a,b.JPEG,1,2,3,4\nval/c.JPEG,0,0,39,29\nval/a,b.JPEG,5,5,9,9\n",
    }
    (root / "metadata").mkdir()
    for name, text in tables.items():
        (root / f"metadata/{name}.txt").write_text(text)
    return root / "metadata"


def test_wsol_as_it_is(tmp_path):
    annotated = read_annotations(wsol(tmp_path), strict=True)
    assert annotated.class_names == ("0", "1", "2")
    assert [image.name for image in annotated] == ["val/a,b.JPEG", "val/c.JPEG"]
    assert annotated[0].boxes_xyxy.tolist() == [[1, 2, 4, 5], [5, 5, 10, 10]]
    assert annotated[1].boxes_xyxy.tolist() == [[0, 0, 40, 30]]
    for optional in ("localization", "image_sizes"):
        (tmp_path / f"metadata/{optional}.txt").unlink()
    assert [image.size_wh for image in read_annotations(tmp_path / "metadata")] == [None, None]


WSOL = {
    "labels of no image": ("class_labels", "val/d.JPEG,1\n", K.UNKNOWN_IMAGE),
    "sizes of no image": ("image_sizes", "val/d.JPEG,1,1\n", K.UNKNOWN_IMAGE),
    "boxes of no image": ("localization", "val/d.JPEG,1,1,2,2\n", K.UNKNOWN_IMAGE),
    "negative label": ("class_labels", "val/d.JPEG,-1\n", K.UNREADABLE_ANNOTATION),
    "absurd label": ("class_labels", "val/d.JPEG,999999999999\n", K.UNREADABLE_ANNOTATION),
    "no label": ("image_ids", "val/d.JPEG\n", K.NO_LABEL),
    "two labels": ("class_labels", "val/c.JPEG,1\n", K.DUPLICATE_ID),
    "empty size": ("image_sizes", "val/d.JPEG,0,1\n", K.UNREADABLE_ANNOTATION),
    "empty box": ("localization", "val/c.JPEG,5,5,4,9\n", K.EMPTY_BOX),
    "outside": ("localization", "val/c.JPEG,-9,-9,-5,-5\n", K.BOX_OUTSIDE),
    "three numbers": ("localization", "val/c.JPEG,5,5,4\n", K.UNREADABLE_ANNOTATION),
}


@pytest.mark.parametrize("case", WSOL)
def test_broken_wsol(case, tmp_path):
    name, line, kind = WSOL[case]
    with (wsol(tmp_path) / f"{name}.txt").open("a") as file:
        file.write(line)
    annotated = read_annotations(tmp_path / "metadata")
    assert annotated.problem_counts == {kind: 1}
    assert annotated.labels.tolist() == [2, 0]


def test_text_that_is_no_text(tmp_path):
    (wsol(tmp_path) / "class_labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnnotationError, match=r"Cannot read .*class_labels\.txt"):
        read_annotations(tmp_path / "metadata")


def test_a_name_of_a_class_with_a_line_break_is_refused(tmp_path):
    (tmp_path / "hot\u2028dog").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "hot\u2028dog" / "1.png")
    with pytest.raises(AnnotationError, match=r"cannot be used\. .*each of one line.*'hot\\u2028dog'"):
        read_annotations(tmp_path)
