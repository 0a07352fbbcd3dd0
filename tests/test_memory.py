"""Images are decoded within a stated budget, and at a reduced scale where few pixels are needed."""

import io
import threading

import numpy as np
import pytest
from PIL import Image, ImageFile
from skimage import data

from keras_cam import load_localizer, localize_files
from keras_cam.images import files
from keras_cam.images.files import DECODING, ImageError, decode_image, read_image, read_reduced
from keras_cam.images.memory_budget import MemoryBudget
from keras_cam.images.resize import resize
from processes import run_python


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(data.astronaut()).resize((1600, 1200), Image.Resampling.BICUBIC)


def saved(image, form, **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


@pytest.mark.parametrize(
    ("size_hw", "shape"),
    [((150, 150), (300, 400, 3)), ((151, 151), (600, 800, 3)), ((301, 10), (1200, 1600, 3))],
)
def test_jpegs_are_decoded_at_the_smallest_scale_that_leaves_twice_the_pixels(photo, size_hw, shape):
    jpeg = saved(photo, "JPEG", quality=90)
    reduced = read_reduced(jpeg, size_hw)
    assert (reduced.pixels.shape, reduced.size_wh) == (shape, (1600, 1200))
    whole = resize(decode_image(jpeg, "whole"), size_hw)
    assert np.abs(resize(reduced.pixels, size_hw) - whole).mean() < 0.5  # of 255 grey levels


def test_a_small_photo_is_read_as_before(photo):
    jpeg = saved(photo.resize((227, 227)), "JPEG")
    np.testing.assert_array_equal(read_reduced(jpeg, (224, 224)).pixels, decode_image(jpeg, "whole"))


def test_a_photo_on_its_side_is_turned_whatever_its_scale(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "turned.jpg", exif=exif)
    reduced = read_reduced(tmp_path / "turned.jpg", (100, 100))
    assert (reduced.pixels.shape, reduced.size_wh) == ((400, 300, 3), (1200, 1600))
    whole = resize(read_image(tmp_path / "turned.jpg"), (100, 100))
    assert np.abs(resize(reduced.pixels, (100, 100)) - whole).mean() < 0.5


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK"])
def test_large_files_of_other_formats_are_reduced_before_they_are_converted(photo, mode, monkeypatch):
    monkeypatch.setattr(files, "_LARGE", 10**6)
    image = photo.convert(mode)
    if mode == "RGBA":
        image.putalpha(photo.convert("L"))
    exif = Image.Exif()
    exif[0x0112] = 8
    form = "TIFF" if mode == "CMYK" else "PNG"
    content = saved(image, form, exif=exif)
    reduced = read_reduced(content, (100, 100))
    assert (reduced.pixels.shape[2], reduced.size_wh) == (3, (1200, 1600))
    assert reduced.pixels.shape[0] == 1600 // 6 + 1
    whole = resize(decode_image(content, "whole"), (100, 100))
    assert np.abs(resize(reduced.pixels, (100, 100)) - whole).mean() < 2.0


def test_boxes_are_those_of_the_whole_photo(colour_classifier, tmp_path):
    pixels = np.zeros((1200, 1600, 3), np.uint8)
    pixels[300:700, 400:1000, 1] = 255
    Image.fromarray(pixels).save(tmp_path / "green.jpg")
    localizer = load_localizer(colour_classifier, refine="none")
    [record] = localize_files(localizer, tmp_path / "green.jpg", ["red", "green", "blue"])
    outputs = localizer.localize(resize(pixels, localizer.size_hw)[None])
    assert (record.width, record.height, record.detections[0].label) == (1600, 1200, "green")
    ymin, xmin, ymax, xmax = outputs["detection_boxes"][0, 0]
    pixel = 1600 / localizer.size_hw[1]  # of what the network sees
    expected = np.array([xmin * 1600, ymin * 1200, xmax * 1600, ymax * 1200])
    np.testing.assert_allclose(record.detections[0].box_xyxy, expected, atol=pixel)


def test_a_budget_lets_only_so_many_work_at_a_time():
    budget, most, lock = MemoryBudget(100), [0], threading.Lock()

    def work():
        for _ in range(20):
            with budget.taken(40), lock:
                most[0] = max(most[0], budget.used)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 80
    assert budget.used == 0
    with pytest.raises(ValueError, match="needs 101 bytes of memory, more than 100"), budget.taken(101):
        pass


def test_the_budget_is_kept_while_files_are_decoded(photo, monkeypatch):
    png, taken = saved(photo, "PNG"), []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(DECODING, "limit", 30 * 10**6)  # one of them needs 23 MB

    def watched(image):
        taken.append(DECODING.used)
        return load(image)

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", watched, raising=False)
    threads = [threading.Thread(target=decode_image, args=(png, "photo")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(taken) == {1600 * 1200 * 12}  # nothing is decoded before its share is taken
    monkeypatch.setattr(DECODING, "limit", 10**6)
    with pytest.raises(ImageError, match="Cannot read photo: needs 23,040,000 bytes of memory"):
        decode_image(png, "photo")


PEAK = """
import resource, sys
from PIL import Image
from keras_cam.images.batches import read_batches
from keras_cam.images.files import read_reduced
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
[batch] = read_batches(lambda index: read_reduced(sys.argv[1], (224, 224)), 1, (224, 224), 1)
assert batch.errors == (None,), batch.errors
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_huge_image_of_few_bytes_takes_its_pixels_and_little_more(tmp_path):
    Image.new("RGB", (8000, 8000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 10**6
    done = run_python("-c", PEAK, tmp_path / "bomb.png")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 8000 * 8000 * 5 / 2**20  # Pillow needs 4 bytes a pixel
