"""Parts of images have the pixels that the whole image has."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_cam.images.files import ImageError, read_image
from keras_cam.images.windows import open_windows

WINDOWS = [(slice(0, 70), slice(0, 50)), (slice(13, 49), slice(30, 50)), (slice(69, 70), slice(0, 1))]
RANDOM = np.random.default_rng(0)


def values(dtype, *shape):
    if np.dtype(dtype).kind == "f":
        return RANDOM.random(shape, dtype)
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 16}, {"tile": (32, 16)}], ids=str)
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize(
    ("array", "channels", "options"),
    [
        (values("uint8", 70, 50, 3), 3, {"photometric": "rgb"}),
        (values("uint8", 3, 70, 50), 3, {"photometric": "rgb", "planarconfig": "separate"}),
        (values("uint8", 70, 50, 3), 1, {"photometric": "rgb"}),
        (values("uint8", 70, 50), 3, {}),
        (values("uint16", 70, 50), 3, {"byteorder": ">"}),
        (values("float32", 70, 50), 1, {}),
        (values("uint16", 70, 50, 5), 5, {"planarconfig": "contig", "predictor": True}),
        (values("int16", 5, 70, 50), 5, {"planarconfig": "separate"}),
    ],
    ids=lambda value: str(value.shape) if isinstance(value, np.ndarray) else "",
)
def test_windows_of_tiff_files_are_parts_of_the_whole(
    tmp_path, array, channels, options, compression, layout
):
    if not compression:
        options = {name: value for name, value in options.items() if name != "predictor"}
    options = {"photometric": "minisblack", **options, **layout}
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression, metadata=None, **options)
    whole = read_image(tmp_path / "a.tif", channels)
    with open_windows(tmp_path / "a.tif", channels) as image:
        assert image.size_wh == (50, 70)
        assert "_cut" not in str(image.part), "it was decoded whole"
        for rows, columns in WINDOWS:
            window = image.read(rows, columns)
            assert window.dtype == whole.dtype.newbyteorder("=")
            np.testing.assert_array_equal(window, whole[rows, columns])


def test_arrays_and_other_files_have_windows_too(tmp_path):
    photo = values("uint8", 70, 50, 3)
    Image.fromarray(photo).save(tmp_path / "a.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(photo).save(tmp_path / "a.tif", exif=turned)
    np.save(tmp_path / "a.npy", np.moveaxis(values("float32", 70, 50, 4), -1, 0))
    for name, channels in (("a.png", 3), ("a.png", 1), ("a.tif", 3), ("a.npy", 4)):
        whole = read_image(tmp_path / name, channels)
        with open_windows(tmp_path / name, channels) as image:
            assert image.size_wh == (whole.shape[1], whole.shape[0])
            np.testing.assert_array_equal(image.read(slice(13, 49), slice(30, 50)), whole[13:49, 30:50])


def test_values_of_black_and_white_are_those_of_the_whole(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", values("float32", 70, 50), metadata=None)
    with open_windows(tmp_path / "a.tif", 3, (0.25, 0.75)) as image:
        window = image.read(slice(0, 5), slice(0, 50))
    np.testing.assert_array_equal(window, read_image(tmp_path / "a.tif", 3, (0.25, 0.75))[:5])


def test_an_overview_leaves_out_pixels(tmp_path):
    photo = values("uint8", 70, 50, 3)
    tifffile.imwrite(tmp_path / "a.tif", photo, photometric="rgb", compression="deflate", rowsperstrip=8)
    with open_windows(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(image.overview(35), photo[::2, ::2])


def test_broken_parts_and_files_are_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", values("uint8", 70, 50), compression="deflate", rowsperstrip=8)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        place = tiff.pages.first.dataoffsets[4]
    with open(tmp_path / "a.tif", "rb+") as file:
        file.seek(place)
        file.write(bytes(20))
    with open_windows(tmp_path / "a.tif") as image:
        assert image.read(slice(0, 32), slice(0, 9)).shape == (32, 9, 3)
        with pytest.raises(ImageError, match=r"Cannot read .*a\.tif: "):
            image.read(slice(30, 40), slice(0, 9))
    with pytest.raises(ImageError, match="not an image"), open_windows(__file__):
        pass
