"""Boxes and masks written for other tools, and read back by these tools' own code."""

import csv
import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import keras_cam
from keras_cam.annotations import ANNOTATION_FORMATS, Selection, export_annotations
from keras_cam.annotations.label_studio import brush_rle
from keras_cam.annotations.options import AnnotationOptions, Categories
from keras_cam.inference import Detection, FailedImage, Localization, coco_rle, localizations, polygons
from keras_cam.inference.masks import run_lengths
from keras_cam.layers import MapDetections

CLASSES = ("ant", 'café, "big"/<1>', "cat")
WIDTH, HEIGHT = 90, 60
NAMES = ("plain.png", "same.png", "sub/same.png", "wéird [x] #1,\t'q'\".jpg", "same.jpg")
MASKS = [name for name, row in ANNOTATION_FORMATS.items() if row.has_masks]


def maps(seed):
    """Two smooth maps with a peak each, (1, 2, 7, 9)."""
    y, x = np.mgrid[:7, :9]
    centres = np.random.default_rng(seed).uniform((1.5, 2), (4.5, 6), (2, 2))
    return np.stack([np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 4) for cy, cx in centres])[None].astype(
        "float32"
    )


def record(image, seed=0):
    """Classes 2 and 1, with boxes that the localizer's own layer found."""
    rows = MapDetections(0.4)(
        maps(seed), np.array([[2, 1]]), np.array([[0, 0.3, 0.6]]), np.zeros((1, HEIGHT, WIDTH, 3))
    )
    outputs = {name: np.asarray(values) for name, values in rows.items()}
    return localizations(outputs, [str(image)], [(WIDTH, HEIGHT)], CLASSES, "m", threshold=0.4)[0]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with a photo for each of `NAMES`, and the records of all."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (40 * number, 0, 0)).save(folder / name, quality=100)
    return folder, [record(folder / name, number) for number, name in enumerate(NAMES)]


def export(photos, tmp_path, name, **options):
    folder, records = photos
    path = tmp_path / ("out" + ANNOTATION_FORMATS[name].suffix)
    options = {"class_names": CLASSES, "images_dir": folder, **options}
    assert export_annotations(records, path, name, **options) == []
    return path


def boxes_of(one):
    return np.array([found.box_xyxy for found in one.detections])


def assert_same(found, one, classes=(2, 1), atol=0.02):
    """`found`: pairs of a class and a box."""
    assert [label for label, _ in found] == list(classes)
    np.testing.assert_allclose([box for _, box in found], boxes_of(one), atol=atol)


def assert_same_masks(masks, one, pixels=0):
    assert len(masks) == 2
    for mask, found in zip(masks, one.detections, strict=True):
        ours = one.mask(found)
        assert mask.shape == ours.shape
        if pixels:
            assert_within(mask, ours, pixels)
        else:
            np.testing.assert_array_equal(mask, ours)


def assert_within(mask, ours, pixels):
    """The outlines differ by at most so many pixels."""
    box = np.ones((2 * pixels + 1,) * 2, np.uint8)
    grown, shrunk = (change(ours.astype(np.uint8), box) > 0 for change in (cv2.dilate, cv2.erode))
    assert not (mask & ~grown).any()
    assert not (shrunk & ~mask).any()


# Masks


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_fills_the_box_that_the_localizer_found(seed):
    one = record("a.png", seed)
    for found in one.detections:
        rows, columns = np.nonzero(one.mask(found))
        around = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        np.testing.assert_allclose(around, found.box_xyxy, atol=1)


def test_the_parts_of_a_class_with_a_box_each_have_a_mask_each():
    surface = np.zeros((4, 8), np.float32)
    surface[1, 1], surface[2, 6] = 1, 0.8
    left, right = (Detection(0, "ant", 0.5, box, surface) for box in ((0, 0, 40, 40), (40, 0, 80, 40)))
    one = Localization("a.png", 80, 40, "m", (left, right))
    centres = [np.argwhere(one.mask(found)).mean(0).tolist() for found in (left, right)]
    np.testing.assert_allclose(centres, [[14.5, 14.5], [24.5, 64.5]], atol=0.1)
    assert one.mask(replace(left, box_xyxy=None)) is None


def random_masks():
    rng = np.random.default_rng(0)
    for _ in range(40):
        height, width = rng.integers(1, 40, 2)
        coarse = Image.fromarray(rng.random((4, 5)).astype("float32")).resize((width, height))
        yield np.asarray(coarse) > rng.random()


def test_run_length_codes_are_those_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    for mask in random_masks():
        theirs = coco.encode(np.asfortranarray(mask, np.uint8))
        assert coco_rle(mask) == {"size": theirs["size"], "counts": theirs["counts"].decode()}
        again = coco.decode(coco.frPyObjects({"size": mask.shape, "counts": run_lengths(mask)}, *mask.shape))
        np.testing.assert_array_equal(again, mask)


def test_polygons_of_a_hand_drawn_mask():
    mask = np.zeros((6, 8), bool)
    mask[1:5, 2:7] = True
    mask[2, 3] = False  # a hole
    mask[5, 0] = True
    large, small = (sorted(map(tuple, outline.tolist())) for outline in polygons(mask))
    assert large == [(2, 1), (2, 5), (7, 1), (7, 5)]
    assert small == [(0, 5), (0, 6), (1, 5), (1, 6)]
    assert polygons(np.zeros((3, 3), bool)) == []


def test_polygons_filled_by_pycocotools_are_the_mask_within_a_pixel():
    coco = pytest.importorskip("pycocotools.mask")
    for seed in range(10):
        one = record("a.png", seed)
        mask = one.mask(one.detections[0])
        codes = coco.frPyObjects([outline.ravel().tolist() for outline in polygons(mask)], *mask.shape)
        assert_within(coco.decode(coco.merge(codes)).astype(bool), mask, 1)


def unpacked(code):
    """https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack, `decode`."""
    bits, place = "".join(f"{byte:08b}" for byte in code), 0

    def read(size):
        nonlocal place
        place += size
        return int(bits[place - size : place], 2)

    count, word, out = read(32), read(5) + 1, []
    sizes = [read(4) + 1 for _ in range(4)]
    while len(out) < count:
        is_run = read(1)
        length = read(sizes[read(2)]) + 1
        out += [read(word)] * length if is_run else [read(word) for _ in range(length)]
    return np.array(out, np.uint8)


def test_brushes_are_the_packed_pixels_of_the_mask():
    for mask in [*random_masks(), np.ones((150, 130), bool)]:
        rgba = unpacked(brush_rle(mask)).reshape(*mask.shape, 4)
        np.testing.assert_array_equal(rgba, np.repeat(mask[..., None] * 255, 4, axis=2))


def test_records_and_pictures_have_masks_if_asked_for():
    one = record("a.png")
    best = one.to_dict(masks=True)["detections"][0]
    assert best["mask"] == coco_rle(one.mask(one.detections[0]))
    assert len(best["polygons"][0]) >= 6
    assert "mask" not in one.to_dict()["detections"][0]
    drawn = replace(one, pixels=np.zeros((HEIGHT, WIDTH, 3), np.uint8)).picture(masks=True)
    scale = drawn.shape[1] / WIDTH
    rows, columns = np.nonzero(one.mask(one.detections[0]))
    inside = drawn[int((rows.mean() + 0.5) * scale), int((columns.mean() + 0.5) * scale)]
    assert inside.tolist() == [178, 178, 178]  # the first colour, white, at 70 %
    assert drawn[-1, 0].tolist() == [0, 0, 0]


def test_supervision_gets_masks():
    supervision = pytest.importorskip("supervision")
    one = record("a.png")
    detections = one.to_supervision(masks=True)
    assert_same_masks(detections.mask, one)
    around = supervision.mask_to_xyxy(detections.mask) + [0, 0, 1, 1]  # its maxima are inclusive
    np.testing.assert_allclose(around, boxes_of(one), atol=1)
    nothing = replace(one, detections=()).to_supervision(masks=True)
    assert nothing.mask.shape == (0, HEIGHT, WIDTH)


# Selection


def labels(one):
    return [found.label for found in one.detections]


def test_detections_are_selected_by_score_class_and_rank():
    one = record("a.png")  # cat 0.6, café 0.3
    assert labels(Selection(0.5)(one)) == ["cat"]
    assert labels(Selection(0.5, {CLASSES[1]: 0.3, "cat": 0.61})(one)) == [CLASSES[1]]
    assert labels(Selection(classes=CLASSES[:2], top_k=1)(one)) == [CLASSES[1]]
    assert labels(Selection()(one)) == ["cat", CLASSES[1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 1.5}, r"`min_score`.*must be in \[0, 1\]\. Received: min_score=1\.5"),
        ({"top_k": 0}, r"`top_k` must be at least 1\. Received: top_k=0"),
        ({"classes": ["dog"], "class_names": CLASSES}, r"among the 3 of the model\. Received: 'dog'"),
        ({"format": "cocoa"}, r"`format` must be one of json, coco, .*Received: format='cocoa'"),
        ({"format": "csv"}, r"`path` must end in \.csv for csv\. Received: path=.*a\.json"),
        (
            {"format": "megadetector", "masks": True},
            r"`masks` must be False unless .* Received: megadetector",
        ),
    ],
)
def test_wrong_arguments_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export_annotations([], tmp_path / "a.json", **options)
    assert os.listdir(tmp_path) == []


# Each format, read by others


def test_json_lines_are_the_records(photos, tmp_path):
    path = export(photos, tmp_path, "json", masks=True)
    read = [json.loads(line) for line in path.read_text().splitlines()]
    assert read == [one.to_dict(masks=True) for one in photos[1]]


def test_coco_is_read_by_pycocotools(photos, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco").COCO(export(photos, tmp_path, "coco", masks=True))
    assert {key: value["name"] for key, value in coco.cats.items()} == dict(enumerate(CLASSES))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == list(NAMES)
    for image, one in zip(coco.getImgIds(), photos[1], strict=True):
        found = coco.loadAnns(coco.getAnnIds(image))
        boxes = [np.array(entry["bbox"]) + [0, 0, *entry["bbox"][:2]] for entry in found]
        assert_same([(entry["category_id"], box) for entry, box in zip(found, boxes, strict=True)], one)
        assert_same_masks([coco.annToMask(entry).astype(bool) for entry in found], one)
        assert [entry["score"] for entry in found] == pytest.approx([0.6, 0.3])
        assert [entry["area"] for entry in found] == [one.mask(d).sum() for d in one.detections]
    again = coco.loadRes([{**entry} for entry in coco.dataset["annotations"]])
    assert len(again.getAnnIds()) == 2 * len(NAMES)


@pytest.mark.parametrize("name", ["coco", "csv"])
def test_our_own_readers_take_what_is_beside_the_photos(photos, name):
    folder, records = photos
    path = folder / ("own" + ANNOTATION_FORMATS[name].suffix)
    export_annotations(records, path, name, class_names=CLASSES)
    options = {"class_names": CLASSES} if name == "csv" else {}
    annotated = keras_cam.read_annotations(path, strict=True, **options)
    assert annotated.class_names == CLASSES
    for one, image in zip(records, annotated, strict=True):
        assert_same(list(zip(image.box_labels.tolist(), image.boxes_xyxy, strict=True)), one)
        assert image.read().shape == (HEIGHT, WIDTH, 3)


def test_coco_is_read_by_supervision(photos, tmp_path):
    supervision = pytest.importorskip("supervision")
    path = export(photos, tmp_path, "coco", masks=True)
    data = supervision.DetectionDataset.from_coco(str(photos[0]), str(path), force_masks=True)
    assert data.classes == list(CLASSES)
    for (_, _, detections), one in zip(data, photos[1], strict=True):
        assert_same(list(zip(detections.class_id.tolist(), detections.xyxy, strict=True)), one)
        assert_same_masks(detections.mask, one)


def by_colour(pixels):
    """Which of the photos this is."""
    return int(np.round(pixels.reshape(-1, 3).max(1).mean() / 40))


@pytest.mark.parametrize("masks", [False, True])
def test_yolo_is_read_by_supervision(photos, tmp_path, masks):
    supervision = pytest.importorskip("supervision")
    folder = export(photos, tmp_path, "yolo", masks=masks)
    paths = (str(folder / "images/train"), str(folder / "labels/train"), str(folder / "data.yaml"))
    data = supervision.DetectionDataset.from_yolo(*paths)
    assert data.classes == list(CLASSES)
    read = {by_colour(image): detections for _, image, detections in data}
    assert sorted(read) == list(range(len(NAMES)))
    for number, detections in read.items():
        one = photos[1][number]
        atol = 1.01 if masks else 0.02
        assert_same(list(zip(detections.class_id.tolist(), detections.xyxy, strict=True)), one, atol=atol)
        if masks:
            # supervision fills polygons with OpenCV, which fills the pixels right of and below their borders.
            assert_same_masks(detections.mask.astype(bool), one, pixels=2)


def test_a_photo_without_detections_is_background(photos, tmp_path):
    folder = export(photos, tmp_path, "yolo", min_score=0.9)
    assert {path.read_text() for path in (folder / "labels/train").iterdir()} == {""}
    assert len(list((folder / "images/train").iterdir())) == len(NAMES)
    document = json.loads(export(photos, tmp_path, "coco", min_score=0.9).read_text())
    assert (len(document["images"]), document["annotations"]) == (len(NAMES), [])


def test_chosen_classes_are_numbered_from_0(photos, tmp_path):
    folder = export(photos, tmp_path, "yolo", classes=["cat"])
    assert '  0: "cat"\n' in (folder / "data.yaml").read_text()
    assert (folder / "labels/train/plain.txt").read_text().split()[0] == "0"
    assert (folder / "labels/train/plain.txt").read_text().count("\n") == 1


def test_voc_is_read_by_our_reader_and_by_supervision(photos, tmp_path):
    folder = export(photos, tmp_path, "voc", masks=True)
    annotated = keras_cam.read_annotations(folder / "JPEGImages", class_names=CLASSES, strict=True)
    for image in annotated:
        one = photos[1][by_colour(image.read())]
        assert_same(list(zip(image.box_labels.tolist(), image.boxes_xyxy, strict=True)), one, atol=0.51)
    supervision = pytest.importorskip("supervision")
    data = supervision.DetectionDataset.from_pascal_voc(
        str(folder / "JPEGImages"), str(folder / "Annotations")
    )
    for _, image, detections in data:
        one = photos[1][by_colour(image)]
        names = [data.classes[number] for number in detections.class_id]
        assert_same(list(zip(names, detections.xyxy, strict=True)), one, ("cat", CLASSES[1]), atol=1)


def test_voc_masks_are_palette_images(photos, tmp_path):
    folder = export(photos, tmp_path, "voc", masks=True)
    cat, cafe = (photos[1][0].mask(found) for found in photos[1][0].detections)
    with Image.open(folder / "SegmentationClass/plain.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), np.where(cat, 3, np.where(cafe, 2, 0)))
        assert image.getpalette()[:15] == [
            0,
            0,
            0,
            128,
            0,
            0,
            0,
            128,
            0,
            128,
            128,
            0,
            0,
            0,
            128,
        ]  # of VOC 2012
    with Image.open(folder / "SegmentationObject/plain.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.where(cat, 1, np.where(cafe, 2, 0)))
    assert len((folder / "ImageSets/Main/trainval.txt").read_text().splitlines()) == len(NAMES)


def test_label_studio_tasks_have_one_prediction_in_percent(photos, tmp_path):
    folder = export(photos, tmp_path, "label-studio", masks=True)
    tasks = json.loads((folder / "tasks.json").read_text())
    assert tasks[3]["data"]["image"].startswith("/data/local-files/?d=w%C3%A9ird%20%5Bx%5D%20%231")
    for task, one in zip(tasks, photos[1], strict=True):
        [prediction] = task["predictions"]
        assert prediction["score"] == pytest.approx(0.6)
        boxes, brushes = prediction["result"][:2], prediction["result"][2:]
        sides = [[result["value"][key] for key in ("x", "y", "width", "height")] for result in boxes]
        found = [(x * 0.9, y * 0.6, (x + w) * 0.9, (y + h) * 0.6) for x, y, w, h in sides]
        names = [result["value"]["rectanglelabels"] for result in boxes]
        assert_same(list(zip(names, found, strict=True)), one, (["cat"], [CLASSES[1]]))
        codes = [unpacked(result["value"]["rle"]).reshape(HEIGHT, WIDTH, 4) for result in brushes]
        assert_same_masks([rgba[..., 3] > 0 for rgba in codes], one)


def test_label_studio_is_read_by_its_own_converter(photos, tmp_path):
    pytest.importorskip("label_studio_sdk")
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.converter.brush import decode_rle

    folder = export(photos, tmp_path, "label-studio", masks=True)
    tasks = json.loads((folder / "tasks.json").read_text())
    # The converter exports what people have confirmed.
    for number, task in enumerate(tasks):
        results = task["predictions"][0]["result"]
        task |= {"id": number, "annotations": [{"id": number, "result": results, "completed_by": 1}]}
        brush = next(result for result in results if result["type"] == "brushlabels")
        mask = decode_rle(brush["value"]["rle"]).reshape(HEIGHT, WIDTH, 4)[..., 3] > 0
        np.testing.assert_array_equal(mask, photos[1][number].mask(photos[1][number].detections[0]))
        task["annotations"][0]["result"] = [result for result in results if result["from_name"] == "label"]
    (tmp_path / "confirmed.json").write_text(json.dumps(tasks))
    converter = Converter(
        config=(folder / "label_config.xml").read_text(), project_dir=None, download_resources=False
    )
    converter.convert_to_coco(str(tmp_path / "confirmed.json"), str(tmp_path / "coco"), is_dir=False)
    document = json.loads((tmp_path / "coco/result.json").read_text())
    names = {entry["id"]: entry["name"] for entry in document["categories"]}
    for number, one in enumerate(photos[1]):
        entries = [entry for entry in document["annotations"] if entry["image_id"] == number]
        boxes = [(names[e["category_id"]], np.array(e["bbox"]) + [0, 0, *e["bbox"][:2]]) for e in entries]
        assert_same(boxes, one, ("cat", CLASSES[1]))


def test_label_studio_needs_photos_below_its_root(photos, tmp_path):
    with pytest.raises(ValueError, match="must be files below `images_dir`"):
        export(photos, tmp_path, "label-studio", images_dir=tmp_path)
    assert os.listdir(tmp_path) == []


def test_tables_have_a_row_for_each_detection(photos, tmp_path):
    with open(export(photos, tmp_path, "csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows[::2]] == list(NAMES)
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    table = pandas.read_parquet(export(photos, tmp_path, "parquet"))
    assert list(table.columns) == list(rows[0])
    assert table["rank"].tolist() == [1, 2] * len(NAMES)
    sides = ["xmin", "ymin", "xmax", "ymax"]
    np.testing.assert_allclose(table[sides], np.concatenate([boxes_of(one) for one in photos[1]]), atol=1e-5)
    for name in sides:
        np.testing.assert_allclose(table[name], [float(row[name]) for row in rows], atol=1e-5)


def test_megadetector_boxes_are_fractions(photos, tmp_path):
    document = json.loads(export(photos, tmp_path, "megadetector").read_text())
    assert document["detection_categories"] == {str(i): name for i, name in enumerate(CLASSES)}
    assert document["info"] == {"format_version": "1.4", "detector": "m"}
    for entry, name, one in zip(document["images"], NAMES, photos[1], strict=True):
        assert entry["file"] == name
        found = [
            (x * WIDTH, y * HEIGHT, (x + w) * WIDTH, (y + h) * HEIGHT)
            for x, y, w, h in (d["bbox"] for d in entry["detections"])
        ]
        assert_same(
            list(zip([d["category"] for d in entry["detections"]], found, strict=True)), one, ("2", "1")
        )


def test_crops_are_the_pixels_of_the_boxes(tmp_path):
    pixels = np.arange(60 * 90 * 3, dtype=np.uint32).reshape(60, 90, 3).astype(np.uint8)
    one = replace(record("some/a.png"), pixels=pixels)
    found = replace(one.detections[1], box_xyxy=(3.2, 4.6, 10.4, 9.0))
    one = replace(one, detections=(replace(one.detections[0], box_xyxy=None), found))
    export_annotations([one, one], tmp_path / "crops", "crops")
    names = sorted(os.listdir(tmp_path / "crops"))
    assert names[0].startswith("a-")  # a second photo of the same name
    assert names[1] == "a_2_café, _big___1_.png"
    with Image.open(tmp_path / "crops" / names[1]) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[5:9, 3:10])


# What all formats have in common


@pytest.mark.parametrize("name", ANNOTATION_FORMATS)
def test_files_appear_whole_or_not_at_all(photos, tmp_path, name):
    def failing():
        yield from photos[1]
        raise RuntimeError("power cut")

    path = tmp_path / ("out" + ANNOTATION_FORMATS[name].suffix)
    with pytest.raises(RuntimeError, match="power cut"):
        export_annotations(failing(), path, name, images_dir=photos[0])
    assert os.listdir(tmp_path) == []
    export_annotations(photos[1], path, name, images_dir=photos[0])
    assert os.listdir(tmp_path) == [path.name]
    if not ANNOTATION_FORMATS[name].suffix:
        with pytest.raises(FileExistsError, match="must be a new folder or an empty one"):
            export_annotations(photos[1], path, name, images_dir=photos[0])


@pytest.mark.parametrize("name", ANNOTATION_FORMATS)
def test_no_records_at_all_are_a_valid_file(tmp_path, name):
    path = tmp_path / ("out" + ANNOTATION_FORMATS[name].suffix)
    assert export_annotations([], path, name) == []
    if path.suffix == ".json":
        assert json.loads(path.read_text())["images"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in ANNOTATION_FORMATS.items() if row.suffix])
def test_memory_does_not_grow_with_the_number_of_records(monkeypatch, tmp_path, name):
    monkeypatch.setattr("keras_cam.annotations.tables._ROW_GROUP", 100)
    one = record("a.png")
    path = tmp_path / ("out" + ANNOTATION_FORMATS[name].suffix)

    def peak(count):
        tracemalloc.start()
        export_annotations((one for _ in range(count)), path, name)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(300)  # fills the caches
    assert peak(1500) < peak(300) + 150_000


@pytest.mark.parametrize("name", ANNOTATION_FORMATS)
def test_photos_that_cannot_be_read_are_reported_and_left_out(photos, tmp_path, name):
    gone, broken = record(photos[0] / "gone.gif"), FailedImage("broken.png", "Cannot read broken.png: empty")
    path = tmp_path / ("out" + ANNOTATION_FORMATS[name].suffix)
    failures = export_annotations([broken, gone, *photos[1]], path, name, images_dir=photos[0])
    needs_photos = name in ("yolo", "voc", "crops")
    assert [failure.image for failure in failures] == ["broken.png"] + [gone.image] * needs_photos
    assert path.exists()


@pytest.mark.skipif(os.name != "posix", reason="names are text")
@pytest.mark.parametrize("name", ANNOTATION_FORMATS)
def test_names_with_bytes_that_are_no_text(tmp_path, name):
    folder = tmp_path / "photos"
    folder.mkdir()
    photo = folder / os.fsdecode(b"\xff\n\x01.png")
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "plain.png")
    os.rename(folder / "plain.png", photo)
    path = tmp_path / ("out" + ANNOTATION_FORMATS[name].suffix)
    assert export_annotations([record(photo)], path, name, images_dir=folder) == []
    if name == "coco":
        [image] = json.loads(path.read_text())["images"]
        assert folder / image["file_name"] == photo
    if name == "voc":
        assert len(keras_cam.read_annotations(path / "JPEGImages", strict=True)) == 1


def test_arrays_keep_their_names(tmp_path):
    one = replace(record("image 0"), pixels=np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    options = AnnotationOptions(Categories(), tmp_path)
    assert options.name(one) == "image 0"
    export_annotations([one], tmp_path / "data", "yolo")
    assert (tmp_path / "data/images/train/image 0.png").exists()


# The command line


@pytest.fixture
def folder(tmp_path, colour_classifier, monkeypatch):
    """A folder with a model and a photo, green on black."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:48, 24:48, 1] = 255
    Image.fromarray(pixels).save(tmp_path / "green.png")
    colour_classifier.save(tmp_path / "colours.keras")
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMAND = ("localize", "green.png", "--model", "colours.keras", "--labels", "names.txt")


def test_the_command_writes_annotations_and_crops(folder, capsys):
    from keras_cam.cli import main as cli

    options = ("--format", "coco", "--output", "new/boxes.json", "--masks", "--crops", "crops")
    assert cli.main([*COMMAND, *options, "--classes", "green", "--min-score", "0.1"]) == 0
    assert capsys.readouterr().out == f"coco, 1 photos: {Path('new/boxes.json')}\ncrops, 1 photos: crops\n"
    document = json.loads(Path("new/boxes.json").read_text())
    assert document["images"][0]["file_name"] == "../green.png"
    assert document["categories"] == [{"id": 0, "name": "green"}]
    [entry] = document["annotations"]
    np.testing.assert_allclose(entry["bbox"], [24, 16, 24, 32], atol=12)  # a map position is 12 x 8 pixels
    assert os.listdir("crops") == ["green_1_green.png"]


def test_thresholds_of_classes_hold_for_json_too(folder, capsys):
    from keras_cam.cli import main as cli

    assert cli.main([*COMMAND, "--json", "--masks", "--min-score", "0.9", "--min-score", "green=0.1"]) == 0
    [found] = json.loads(capsys.readouterr().out)["detections"]
    assert (found["label"], found["mask"]["size"]) == ("green", [64, 96])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "coco"], "--format coco needs --output, the file or folder to write"),
        (
            ["--format", "coco", "--output", "a.csv"],
            "`path` must end in .json for coco. Received: path='a.csv'",
        ),
        (
            ["--classes", "dog"],
            "--classes, --min-score: The names of classes must be among the 3 of the model",
        ),
        (["--min-score", "2"], "--min-score: must be a number in [0, 1], or CLASS=NUMBER. Received: 2"),
        (["--crops", "."], "`path` must be a new folder or an empty one. Received: path='.'"),
        (["--format", "label-studio", "--output", "t", "--images-dir", "other"], "must be files below"),
    ],
)
def test_what_cannot_be_written_is_one_line_and_status_2(folder, capsys, options, message):
    from keras_cam.cli import main as cli

    before = sorted(os.listdir())
    try:
        status = cli.main([*COMMAND, *options])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert message in err
    assert sorted(set(os.listdir()) - {"keras-cam-output"}) == before
