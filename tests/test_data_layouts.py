"""The same images, classes and boxes in every layout give the same records."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_cam.data import (
    LAYOUTS,
    AnnotationError,
    ImageIndex,
    Layout,
    ProblemKind,
    RawBox,
    read_annotations,
)

CLASSES = ["001.Auk", "002.Wren", "003.Owl"]  # no image shows the owl
# Path, class, width and height, boxes with half-open maxima. Whole numbers, for XML counts pixels.
PHOTOS = [
    ("001.Auk/b.png", 0, (40, 30), [(10, 5, 30, 20)]),
    ("001.Auk/a.png", 0, (24, 50), [(0, 0, 24, 50), (3, 4, 5, 6)]),
    ("002.Wren/c.JPG", 1, (64, 64), [(1, 2, 63, 62)]),
    ("002.Wren/d.png", 1, (20, 20), []),
]


def save_photos(root):
    for position, (path, _, size_wh, _) in enumerate(PHOTOS):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size_wh, (50 * position, 100, 200)).save(root / path)


def write_coco(root):
    save_photos(root)
    images = [
        {"id": 10 + position, "file_name": path, "width": w, "height": h}
        for position, (path, _, (w, h), _) in enumerate(PHOTOS)
    ]
    annotations = [
        {"image_id": 10 + position, "category_id": 5 * label, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        for position, (_, label, _, boxes) in enumerate(PHOTOS)
        for x0, y0, x1, y1 in boxes
    ]
    annotations.append({"image_id": 13, "category_id": 5})  # a label without a box
    annotations = [{"id": number, **annotation} for number, annotation in enumerate(annotations)]
    categories = [{"id": 5 * label, "name": CLASSES[label]} for label in (2, 0, 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(document))
    return root


def write_cub200(root):
    save_photos(root / "images")
    rows = {"images": [], "image_class_labels": [], "bounding_boxes": [], "train_test_split": []}
    for key, (path, label, _, boxes) in enumerate(PHOTOS, start=1):
        rows["images"].append(f"{key} {path}")
        rows["image_class_labels"].append(f"{key} {label + 1}")
        rows["bounding_boxes"] += [f"{key} {x0}.0 {y0}.0 {x1 - x0}.0 {y1 - y0}.0" for x0, y0, x1, y1 in boxes]
        rows["train_test_split"].append(f"{key} {key % 2}")
    rows["classes"] = [f"{label} {name}" for label, name in enumerate(CLASSES, start=1)]
    for name, lines in rows.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


def write_wsol(root):
    save_photos(root)
    rows = {"image_ids": [], "class_labels": [], "image_sizes": [], "localization": []}
    for path, label, (w, h), boxes in PHOTOS:
        rows["image_ids"].append(path)
        rows["class_labels"].append(f"{path},{label}")
        rows["image_sizes"].append(f"{path},{w},{h}")
        rows["localization"] += [f"{path},{x0},{y0},{x1 - 1},{y1 - 1}" for x0, y0, x1, y1 in boxes]
    for name, lines in rows.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


def voc_xml(name, size_wh, boxes, database="The VOC2007 Database", first=1):
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x0 + first}</xmin><ymin>{y0 + first}</ymin>"
        f"<xmax>{x1 + first - 1}</xmax><ymax>{y1 + first - 1}</ymax></bndbox></object>"
        for x0, y0, x1, y1 in boxes
    )
    size = f"<size><width>{size_wh[0]}</width><height>{size_wh[1]}</height><depth>3</depth></size>"
    source = f"<source><database>{database}</database></source>"
    return f"<annotation>{source}{size}{objects}</annotation>"


def write_folders(images, xmls, **xml):
    """Images below one folder, XML files below the other."""
    save_photos(images)
    (images / CLASSES[2]).mkdir()
    for path, label, size_wh, boxes in PHOTOS:
        if boxes:
            file = (xmls / path).with_suffix(".xml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(voc_xml(CLASSES[label], size_wh, boxes, **xml))
    return images


def write_csv(root):
    save_photos(root)
    rows = ["image,label,xmin,ymin,xmax,ymax,split"]
    for path, label, _, boxes in PHOTOS:
        for box in boxes or [[""] * 4]:
            rows.append(",".join(map(str, (path, CLASSES[label], *box, "all"))))
    (root / "photos.csv").write_text("\n".join(rows))
    return root / "photos.csv"


WRITERS = {
    "coco folder": write_coco,
    "coco file": lambda root: write_coco(root) / "annotations.json",
    "csv": write_csv,
    "cub": write_cub200,
    "wsol": write_wsol,
    "xml beside": lambda root: write_folders(root, root),
    "xml in Annotations": lambda root: write_folders(root, root / "Annotations"),
    "voc": lambda root: write_folders(root / "JPEGImages", root / "Annotations"),
    "split": lambda root: write_folders(root / "val", root / "Annotations/val"),
    "ilsvrc": lambda root: write_folders(
        root / "Data/CLS-LOC/val", root / "Annotations/CLS-LOC/val", database="ILSVRC_2012", first=0
    ),
}


def records(annotated):
    """What does not depend on the layout, by file name."""
    return {
        Path(image.image).name: (
            annotated.class_names[image.label],
            image.labels,
            image.boxes_xyxy.tolist(),
            image.box_labels.tolist(),
        )
        for image in annotated
    }


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_gives_the_same_records(layout, tmp_path):
    annotated = read_annotations(WRITERS[layout](tmp_path), strict=True)
    names = {"wsol": ["0", "1"], "csv": CLASSES[:2]}.get(layout, CLASSES)
    assert annotated.class_names == tuple(names)
    assert records(annotated) == {
        Path(path).name: (
            names[label],
            (label,),
            [list(map(float, box)) for box in boxes],
            [label] * len(boxes),
        )
        for path, label, _, boxes in PHOTOS
    }
    assert annotated.labels.tolist() == [0, 0, 1, 1]
    assert annotated.problems == ()
    sizes = {os.path.basename(path): size_wh for path, _, size_wh, _ in PHOTOS}
    for image in annotated:
        assert image.boxes_xyxy.dtype == np.float32
        assert image.boxes_xyxy.shape == (len(image.box_labels), 4)
        assert image.box_labels.dtype == np.int64
        width, height = sizes[os.path.basename(image.image)]
        assert image.read().shape == (height, width, 3)


@pytest.mark.parametrize(("split", "kept"), [(None, "bacd"), ("train", "bc"), ("test", "ad")])
def test_cub_splits(split, kept, tmp_path):
    annotated = read_annotations(write_cub200(tmp_path), split)
    assert [Path(image.image).stem for image in annotated] == list(kept)
    assert annotated.class_names == tuple(CLASSES)


def test_json_splits(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "annotations.json").rename(tmp_path / "train.json")
    assert len(read_annotations(tmp_path)) == 4  # the only one
    assert len(read_annotations(str(tmp_path), "train")) == 4
    (tmp_path / "test.json").write_bytes((tmp_path / "train.json").read_bytes())
    with pytest.raises(ValueError, match=r"`split` must be one of \['test', 'train'\]"):
        read_annotations(tmp_path)
    with pytest.raises(
        ValueError, match=r"`split` must be a folder or \.json file in .*Received: split='val'"
    ):
        read_annotations(tmp_path, "val")
    with pytest.raises(ValueError, match=r"`split` must be None, for .*train\.json is one split"):
        read_annotations(tmp_path / "train.json", "train")


def test_folder_splits(tmp_path):
    write_folders(tmp_path / "val", tmp_path / "val")
    write_wsol(tmp_path / "metadata")
    assert read_annotations(tmp_path, "val").class_names == tuple(CLASSES)
    assert read_annotations(tmp_path, "metadata").class_names == ("0", "1")
    with pytest.raises(
        AnnotationError, match=r"There is no image in .* and no folder with images directly in it"
    ):
        read_annotations(tmp_path)


def test_images_elsewhere(tmp_path):
    for writer, kind in ((write_coco, "*.json"), (write_cub200, "*.txt"), (write_wsol, "*.txt")):
        root = writer(tmp_path / writer.__name__)
        notes = tmp_path / "notes" / writer.__name__
        notes.mkdir(parents=True)
        for file in root.glob(kind):
            file.rename(notes / file.name)
        photos = root / "images" if writer is write_cub200 else root
        assert len(read_annotations(notes, images_dir=photos, strict=True)) == 4
        with pytest.raises(AnnotationError, match=r"(4 missing file|`images_dir` must be the folder)"):
            read_annotations(notes)


@pytest.mark.parametrize(
    ("layout", "arguments"),
    [
        ("coco file", {"class_names": ["a"]}),
        ("cub", {"class_names": ["a"]}),
        ("wsol", {"data_dir": "tfds"}),
        ("xml beside", {"images_dir": "images"}),
    ],
)
def test_an_argument_without_effect_is_an_error(layout, arguments, tmp_path):
    [name] = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be None for .* Received: {name}="):
        read_annotations(WRITERS[layout](tmp_path), **arguments)


def test_what_is_no_data_set(tmp_path):
    with pytest.raises(AnnotationError, match=r"There is no '.*nowhere'"):
        read_annotations(tmp_path / "nowhere")
    with pytest.raises(AnnotationError, match="There is no image in"):
        read_annotations(tmp_path)
    (tmp_path / "notes.xls").write_text("a,b")
    with pytest.raises(
        AnnotationError, match=r"`source` must be a folder or a \.json, \.csv or \.tfrecord file"
    ):
        read_annotations(tmp_path / "notes.xls")
    with pytest.raises(ValueError, match="`split` must be one of"):
        read_annotations(write_cub200(tmp_path / "cub"), "val")


def test_a_data_set_is_a_sequence_with_a_summary(tmp_path):
    annotated = read_annotations(write_coco(tmp_path))
    assert len(annotated[1:]) == 3
    assert [image.name for image in annotated[1:]] == ["11", "12", "13"]
    assert annotated[-1].labels == (1,)
    assert str(annotated).endswith("annotations.json: 4 images, 3 classes, 4 boxes")


def write_names(root):
    """Images whose names begin with what they show."""
    for name in ("auk_1.png", "owl_1.png", "owl_2.png"):
        Image.new("RGB", (20, 10)).save(root / name)
    (root / "names.lst").write_text("a file by which the layout is recognized")
    return root


def read_names(source, split, strict):
    index = ImageIndex(source)
    for path in sorted(Path(source).glob("*.png")):
        box = RawBox("the whole image", (0, 0, 20, 10), label=2)
        index.add(path.name, str(path), source, None, [box] if path.stem.startswith(split) else [])
    return index.finish(CLASSES, strict)


NAMES = Layout("names", lambda source, split: Path(source, "names.lst").is_file(), read_names)


def test_users_add_layouts_of_their_own(tmp_path):
    write_names(tmp_path)
    annotated = read_annotations(tmp_path, "owl", layouts=(NAMES, *LAYOUTS))
    assert [(image.name, image.label) for image in annotated] == [("owl_1.png", 2), ("owl_2.png", 2)]
    assert annotated.problem_counts == {ProblemKind.NO_LABEL: 1}
    with pytest.raises(AnnotationError, match="has 1 problem"):
        read_annotations(tmp_path, "owl", layouts=[NAMES], strict=True)
    with pytest.raises(ValueError, match=r"`class_names` must be None for names\. Received: class_names="):
        read_annotations(tmp_path, "owl", layouts=[NAMES], class_names=CLASSES)
    # The first layout that matches is used.
    with pytest.raises(ValueError, match="`split` must be a folder or"):
        read_annotations(tmp_path, "owl", layouts=(*LAYOUTS, NAMES))


def test_a_layout_takes_only_arguments_that_there_are():
    with pytest.raises(
        ValueError, match=r"`takes` must be some of .*'data_dir'.* Received: takes=\('size',\)"
    ):
        Layout("names", lambda source, split: True, read_names, takes=("size",))


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 20, "1e400"])
def test_numbers_of_any_length_are_problems_or_boxes_within_the_image(digits, tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    big = float(digits) if "e" in digits else int(digits)
    stated = {"width": big, "height": 30} if "e" not in digits else {}
    document = {
        "images": [{"id": 1, "file_name": "a.png", **stated}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, big, 9]},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": [[big] * 6]},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    sources = {name: tmp_path / name for name in ("a.json", "a.csv", "xml")}
    sources["a.json"].write_text(json.dumps(document))
    sources["a.csv"].write_text(
        f"image,label,xmin,ymin,xmax,ymax\na.png,cat,1,2,{digits},9\na.png,cat,1,2,4,6\n"
    )
    (sources["xml"] / "cat").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(sources["xml"] / "cat/a.png")
    xml = voc_xml("cat", (digits, 30), [(1, 2, 4, 6), (1, 2, 7, 9)]).replace("<xmax>7<", f"<xmax>{digits}<")
    (sources["xml"] / "cat/a.xml").write_text(xml)
    for source in sources.values():
        annotated = read_annotations(source)
        assert annotated.problems
        [image] = annotated
        assert [1, 2, 4, 6] in image.boxes_xyxy.tolist()
        assert np.all(image.boxes_xyxy <= [40, 30, 40, 30])
        assert image.read().shape == (30, 40, 3)
