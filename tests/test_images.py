"""Reading what people's cameras and programs write, and refusing the rest in one clear line."""

import errno
import os
import re
import struct
import zlib
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from keras_cam.cli import main as cli
from keras_cam.data import AnnotationError, read_annotations
from keras_cam.data.tf_records import TfRecordImage
from keras_cam.images.files import ImageError, ImageWarning, find_images, read_image, write_png
from keras_cam.inference.records import FailedImage
from processes import run_python

# Left half red, right half blue: shows flips, rotations and swapped channels alike.
PHOTO = np.zeros((32, 48, 3), np.uint8)
PHOTO[:, :24, 0] = PHOTO[:, 24:, 2] = 255


def saved(path, array_or_image, **options):
    image = array_or_image if isinstance(array_or_image, Image.Image) else Image.fromarray(array_or_image)
    image.save(path, **options)
    return path


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp", "gif"])
def test_rgb_is_read_as_it_is(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    image = read_image(saved(tmp_path / f"photo.{suffix}", PHOTO, **options))
    np.testing.assert_array_equal(image, PHOTO)
    assert image.dtype == np.uint8
    assert image.flags.writeable


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    stored = {
        1: PHOTO, 2: PHOTO[:, ::-1], 3: PHOTO[::-1, ::-1], 4: PHOTO[::-1], 5: PHOTO.swapaxes(0, 1),
        6: np.rot90(PHOTO, 1), 7: np.rot90(PHOTO.swapaxes(0, 1), 2), 8: np.rot90(PHOTO, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"photo.{suffix}", np.ascontiguousarray(stored), exif=exif)
    image = read_image(path)
    assert image.shape == PHOTO.shape
    assert np.abs(image[:, 4:20].astype(int) - PHOTO[:, 4:20]).max() < 20
    assert np.abs(image[:, 28:44].astype(int) - PHOTO[:, 28:44]).max() < 20


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 51), (255, 204, 204)),
        ("RGBA", (1, 2, 3, 255), (1, 2, 3)),
        ("I;16", 0, (0, 0, 0)),
        ("I;16", 257 * 100, (100, 100, 100)),
        ("I;16", 65535, (255, 255, 255)),
    ],
)
def test_every_pixel_type_becomes_8_bit_rgb_over_white(tmp_path, mode, colour, rgb):
    image = read_image(saved(tmp_path / "pixel.png", Image.new(mode, (1, 1), colour)))
    assert image.tolist() == [[list(rgb)]]


@pytest.mark.parametrize(("suffix", "options"), [("tiff", {}), ("jpg", {"quality": 100})])
def test_cmyk_keeps_its_colours(tmp_path, suffix, options):
    # Adobe programs store CMYK JPEGs inverted, and Pillow writes and reads them that way.
    image = read_image(
        saved(tmp_path / f"print.{suffix}", Image.new("CMYK", (9, 9), (0, 255, 255, 0)), **options)
    )
    assert np.abs(image[4, 4].astype(int) - (255, 0, 0)).max() <= 2


def test_palettes_may_be_transparent(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    path = saved(tmp_path / "palette.png", palette, transparency=b"\xff\x00")
    assert read_image(path).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_16_bit_tiff_keeps_its_range_and_floats_are_stretched(tmp_path):
    ramp = np.array([[0, 32896, 65535]], np.uint16)
    assert read_image(saved(tmp_path / "grey.tif", ramp))[0, :, 0].tolist() == [0, 128, 255]
    floats = np.array([[-1.0, 0.0, 1.0, np.nan]], np.float32)
    with pytest.warns(ImageWarning, match=r"float\.tif: the file does not state the range of its values"):
        assert read_image(saved(tmp_path / "float.tif", floats))[0, :, 0].tolist() == [0, 128, 255, 0]
    signalling = np.array([[0x7F800001, 0, 0x3F800000]], np.uint32).view(np.float32)  # a NaN no CPU makes
    with pytest.warns(ImageWarning):
        assert read_image(saved(tmp_path / "nan.tif", signalling))[0, :, 0].tolist() == [0, 0, 255]
    constant = np.full((1, 2), 5, np.int32)
    with pytest.warns(ImageWarning):
        assert read_image(saved(tmp_path / "constant.tif", constant))[0, :, 0].tolist() == [0, 0]


def test_grey_is_scaled_by_the_range_that_is_stated_or_given(tmp_path):
    ramp = np.array([[0, 2048, 4095]], np.uint16)
    stated = saved(tmp_path / "stated.tif", ramp, tiffinfo={340: 0, 341: 4095})
    assert read_image(stated)[0, :, 0].tolist() == [0, 128, 255]
    unit = np.array([[0.0, 0.25, 0.5]], np.float32)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype.update({340: 11, 341: 11})
    tags[340], tags[341] = 0.0, 1.0
    assert read_image(saved(tmp_path / "unit.tif", unit, tiffinfo=tags))[0, :, 0].tolist() == [0, 64, 128]
    silent = saved(tmp_path / "silent.png", ramp)
    with pytest.warns(ImageWarning, match=r"silent\.png: 16-bit values of at most 4095 are dark"):
        assert read_image(silent).max() == 16
    assert read_image(silent, value_range=(0, 4095))[0, :, 0].tolist() == [0, 128, 255]
    assert read_image(silent, value_range=(2048, 4095))[0, :, 0].tolist() == [0, 0, 255]


def test_annotated_images_take_the_range_too(tmp_path):
    saved(tmp_path / "ramp.png", np.array([[0, 2048, 4095]], np.uint16))
    (tmp_path / "photos.csv").write_text("image,label\nramp.png,cat\n")
    [ramp] = read_annotations(tmp_path / "photos.csv", value_range=(0, 4095))
    assert ramp.read()[0, :, 0].tolist() == [0, 128, 255]
    assert ramp.read_reduced((1, 3)).pixels[0, :, 0].tolist() == [0, 128, 255]
    stored = replace(ramp, image=TfRecordImage("none", 0, 0, "ramp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TfRecordImage, "encoded", lambda self: (tmp_path / "ramp.png").read_bytes())
        assert stored.read()[0, :, 0].tolist() == [0, 128, 255]
    for command in ("evaluate", "features", "finegrained", "objects"):
        with pytest.raises(SystemExit, match="2"):
            cli.main([command, "--range", "1"])


def test_packed_12_bit_grey_is_scaled_by_its_bits(tmp_path):
    entries = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 0, 277: 1, 278: 1, 279: 3}
    entries[273] = 8 + 2 + 12 * len(entries) + 4
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    path = tmp_path / "packed.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + bytes([0x80, 0x0F, 0xFF]))
    assert read_image(path)[0, :, 0].tolist() == [128, 255]


def test_the_command_warns_of_a_doubtful_range_and_takes_another(tmp_path, capsys, monkeypatch):
    photo = saved(tmp_path / "silent.png", np.full((4, 4), 4095, np.uint16))
    seen = []

    def localize_files(localizer, files, labels, model, batch_size, value_range, **tiles):
        seen.append(read_image(files[0], value_range=value_range)[0, 0, 0])
        return [FailedImage("x", "x")]

    model = SimpleNamespace(classes=2, class_names=("cat", "dog"))
    monkeypatch.setattr("keras_cam.inference.files.localize_files", localize_files)
    monkeypatch.setattr("keras_cam.cli.commands.localize.load_model", lambda *_, **__: model)
    assert cli.main(["localize", str(photo), "--json"]) == 1
    assert "keras-cam: warning: " in capsys.readouterr().err
    assert cli.main(["localize", str(photo), "--json", "--range", "0", "4095"]) == 1
    assert "warning" not in capsys.readouterr().err
    assert seen == [16, 255]
    assert cli.main(["localize", str(photo), "--range", "7", "7"]) == 2


def test_16_bit_pnm_keeps_its_range(tmp_path):
    (tmp_path / "grey.pgm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">2H", 257 * 9, 65535))
    assert read_image(tmp_path / "grey.pgm")[0, :, 0].tolist() == [9, 255]


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / "moving.gif", frames[0], save_all=True, append_images=frames[1:])
    assert read_image(path)[0, 0].tolist() == [255, 0, 0]


def test_broken_exif_costs_the_orientation_not_the_photo(tmp_path):
    path = saved(tmp_path / "photo.jpg", PHOTO, exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read_image(path).shape == PHOTO.shape


def jpeg_bytes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return saved(tmp_path / "whole.jpg", noise).read_bytes()


def png_bytes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return saved(tmp_path / "whole.png", noise).read_bytes()


def huge_png(_):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda _: b"", "the file is empty"),
        (lambda _: b"hello, I am text\n", "not an image"),
        (lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (lambda tmp_path: jpeg_bytes(tmp_path)[:1500], "truncated"),
        (lambda tmp_path: jpeg_bytes(tmp_path)[:20], "."),
        (lambda tmp_path: png_bytes(tmp_path)[:5000], "."),
        (lambda tmp_path: png_bytes(tmp_path).replace(b"IDAT", b"IDOT"), "."),
        (huge_png, "more than 178,956,970 pixels"),
    ],
    ids=["empty", "text", "eps", "cut jpeg", "cut jpeg header", "cut png", "broken png", "huge"],
)
def test_what_is_no_whole_image_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "photo.png"
    path.write_bytes(content(tmp_path))
    with pytest.raises(ImageError, match=rf"^Cannot read {re.escape(str(path))}: .*{reason}") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(ImageError, match=r"missing\.jpg: no such file or directory$"):
        read_image(tmp_path / "missing.jpg")
    with pytest.raises(ImageError, match=r"a folder without images$"):
        read_image(tmp_path)
    saved(tmp_path / "photo.png", PHOTO)
    with pytest.raises(ImageError, match=r"a folder, not an image$"):
        read_image(tmp_path)


def test_folders_are_searched_and_nothing_gets_lost(tmp_path):
    for name in ("b/2.JPG", "b/1.png", "a.webp", "notes.txt", ".hidden.png", "c/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images([tmp_path])]
    assert found == ["a.webp", "b/1.png", "b/2.JPG"]
    given = [tmp_path / "notes.txt", tmp_path / "c", tmp_path / "gone"]
    assert find_images(given) == given


def test_png_files_appear_whole(tmp_path):
    write_png(tmp_path / "out.png", PHOTO)
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), PHOTO)
    with pytest.raises(OSError, match="No such file"):
        write_png(tmp_path / "no folder" / "out.png", PHOTO)
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_reading_images_needs_neither_keras_nor_tensorflow():
    code = (
        "import sys, keras_cam.images.files, keras_cam.inference.records, keras_cam.models.labels\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_seen_below_a_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "photos" / "locked").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for place in ("photos/1.png", "photos/locked/2.png", "elsewhere/3.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / place)
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "photos" / "4.png").symlink_to(tmp_path / "elsewhere" / "3.png")
    lock(monkeypatch, tmp_path / "photos" / "locked")
    found = {path.name: path for path in find_images(tmp_path / "photos")}
    assert sorted(found) == ["1.png", "4.png", "gone.jpg", "linked", "locked"]
    for name, reason in {
        "gone.jpg": "no such file or directory",
        "linked": "a link to a folder, which is not followed",
        "locked": r"a folder \(permission denied\)",
    }.items():
        with pytest.raises(ImageError, match=f"{name}: {reason}"):
            read_image(found[name])


def test_a_class_folder_that_cannot_be_seen_is_a_problem(tmp_path, monkeypatch):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (2, 2)).save(tmp_path / name / "1.png")
    (tmp_path / "bird").symlink_to(tmp_path / "nowhere")
    lock(monkeypatch, tmp_path / "dog")
    annotated = read_annotations(tmp_path)
    assert len(annotated) == 1
    assert [str(problem).removeprefix(str(tmp_path)) for problem in annotated.problems] == [
        "/bird: missing file (a link to nothing)",
        "/dog: unreadable image (Permission denied)",
    ]
    lock(monkeypatch, tmp_path)
    with pytest.raises(AnnotationError, match=rf"Cannot read {tmp_path}: Permission denied"):
        read_annotations(tmp_path)


def lock(monkeypatch, folder):
    """Forbid to read a folder, for root as well."""
    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, partial(_read_unless_locked, getattr(os, name), str(folder)))


def _read_unless_locked(read, locked, path):
    if os.fspath(path) == locked:
        raise PermissionError(errno.EACCES, "Permission denied", locked)
    return read(path)


def test_pipes_are_no_photos(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="a pipe, socket or device, not a file"):
        read_image(tmp_path / "pipe.jpg")
