"""Photos in archives and buckets: found by name, read one by one, and decoded as files are."""

import io
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from keras_cam.cli import main as cli
from keras_cam.images import parquet_photos, sources, stored_files
from keras_cam.images.files import ImageError, decode_image, find_photos, read_image, read_reduced
from keras_cam.inference import localize_files

COLOURS = ("red", "lime", "blue", "yellow")


def jpeg(colour):
    content = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(content, "JPEG")
    return content.getvalue()


PHOTOS = {f"{name}.jpg": jpeg(name) for name in COLOURS}


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return str(path)


def write_tf_records(path, photos):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in photos:
            image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
            features = tf.train.Features(feature={"image/encoded": image})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return str(path)


def write_parquet(path, **columns):
    parquet.write_table(pa.table(columns), path)
    return str(path)


def write_folder(url, photos):
    import fsspec

    system, place = fsspec.core.url_to_fs(url)
    for name, content in photos.items():
        system.pipe(f"{place}/{name}", content)
    return url


# For each source: what writes `PHOTOS` into it, and the names that its photos then have.
MAKERS = {
    "tar": (
        lambda folder: write_tar(folder / "a.tar", PHOTOS.items()),
        lambda source: [f"{source}::{name}" for name in PHOTOS],
    ),
    "tfrecord": (
        lambda folder: write_tf_records(folder / "a.tfrecord", PHOTOS.values()),
        lambda source: [f"{source}::{number}" for number in range(4)],
    ),
    "parquet": (
        lambda folder: write_parquet(
            folder / "a.parquet", name=list(PHOTOS), image=list(PHOTOS.values()), thumbnail=[b""] * 4
        ),
        lambda source: [f"{source}::{name}" for name in PHOTOS],
    ),
    "url": (
        lambda folder: write_folder(f"memory://{folder.name}", PHOTOS),
        lambda source: sorted(f"{source.replace('://', ':///')}/{name}" for name in PHOTOS),
    ),
}


@pytest.fixture(params=MAKERS)
def source(request, tmp_path):
    """A source with `PHOTOS`, and their names."""
    make, names = MAKERS[request.param]
    path = make(tmp_path)
    return path, names(path)


def test_each_source_of_the_table_is_tested():
    assert list(MAKERS) == list(sources.SOURCES)


def pixel(name_or_content):
    is_name = isinstance(name_or_content, str)
    return (
        read_image(name_or_content)[15, 20].tolist()
        if is_name
        else decode_image(name_or_content, "")[15, 20].tolist()
    )


def test_photos_of_a_source_are_those_of_files(source):
    path, names = source
    assert find_photos(path) == names
    assert find_photos(names) == names
    assert sorted(map(pixel, names)) == sorted(map(pixel, PHOTOS.values()))
    assert read_reduced(names[0], (8, 8)).size_wh == (40, 30)


def test_sources_are_localized_and_drawn_as_files_are(source, model_file, tmp_path):
    path, names = source
    records = list(localize_files(model_file, path, runtime="tensorflow"))
    assert [record.image for record in records] == names
    assert {record.detections[0].label for record in records} == {"class 0", "class 1", "class 2"}
    records[0].save(tmp_path / "picture.jpg")
    assert read_image(tmp_path / "picture.jpg").shape[2] == 3


def test_a_shard_reads_only_its_photos(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", [*PHOTOS.items(), ("large.jpg", b"?" * 10**6)])
    read = []

    def counted(path, start, size):
        read.append(size)
        return stored_files.read_range(path, start, size)

    monkeypatch.setattr(sources, "read_range", counted)
    for name in ("lime.jpg", "blue.jpg"):
        read_image(f"{path}::{name}")
    assert read == [len(PHOTOS["lime.jpg"]), len(PHOTOS["blue.jpg"])]


def test_rows_of_parquet_are_read_few_at_a_time(tmp_path):
    photos = [np.random.default_rng(number).bytes(50_000) for number in range(400)]  # 20 MB in a row group
    path = str(tmp_path / "a.parquet")
    parquet.write_table(pa.table({"image": photos}), path, write_batch_size=16, use_dictionary=False)
    file = parquet_photos.ParquetPhotos(path)
    before, most = pa.total_allocated_bytes(), 0
    for row in (*range(400), 7, 390, 391, 3):
        assert file.read(row) == photos[row]
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 5_000_000


def test_parquet_names_are_those_of_a_column_or_of_a_structure_or_numbers(tmp_path):
    images = [{"bytes": content, "path": name} for name, content in PHOTOS.items()]
    structures = write_parquet(tmp_path / "a.parquet", image=images, label=[1, 2, 3, 4])
    assert find_photos(structures) == [f"{structures}::{name}" for name in PHOTOS]
    assert sorted(map(pixel, find_photos(structures))) == sorted(map(pixel, PHOTOS.values()))
    numbers = write_parquet(tmp_path / "b.parquet", anything=list(PHOTOS.values()))
    assert find_photos(numbers) == [f"{numbers}::{row}" for row in range(4)]
    assert pixel(f"{numbers}::2") == pixel(PHOTOS["blue.jpg"])
    with pytest.raises(ImageError, match=r"c.parquet: it has no column of bytes called image, bytes"):
        read_image(find_photos(write_parquet(tmp_path / "c.parquet", label=[1, 2]))[0])


def test_repeated_names_are_told_apart(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("x.jpg", PHOTOS["red.jpg"]), ("x.jpg", PHOTOS["blue.jpg"])])
    assert find_photos(path) == [f"{path}::x.jpg", f"{path}::x.jpg~2"]
    assert pixel(f"{path}::x.jpg~2") == pixel(PHOTOS["blue.jpg"])


def test_other_members_of_a_sample_are_no_photos(tmp_path):
    members = [("1.cls", b"3"), ("1.JPG", PHOTOS["red.jpg"]), ("1.json", b"{}"), ("._1.jpg", b"")]
    path = write_tar(tmp_path / "a.tar", members)
    assert find_photos(path) == [f"{path}::1.JPG"]


def test_an_archive_in_a_bucket_is_read_in_parts(tmp_path):
    content = (tmp_path / "a.tar").read_bytes() if write_tar(tmp_path / "a.tar", PHOTOS.items()) else b""
    path = write_folder(f"memory://{tmp_path.name}", {"a.tar": content}) + "/a.tar"
    assert find_photos(path) == [f"{path}::{name}" for name in PHOTOS]
    assert sorted(map(pixel, find_photos(path))) == sorted(map(pixel, PHOTOS.values()))


def test_a_source_that_is_written_again_is_read_again(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("x.jpg", PHOTOS["red.jpg"])])
    assert pixel(f"{path}::x.jpg") == pixel(PHOTOS["red.jpg"])
    write_tar(path, [("y.jpg", PHOTOS["lime.jpg"]), ("x.jpg", PHOTOS["blue.jpg"])])
    assert pixel(f"{path}::x.jpg") == pixel(PHOTOS["blue.jpg"])


@pytest.mark.parametrize("suffix", ["tar", "tfrecord", "parquet"])
@pytest.mark.parametrize("content", [None, b"", b"no archive, but longer than the head of one " * 20])
def test_what_is_no_archive_is_one_failure(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    if content is not None:
        path.write_bytes(content)
    assert find_photos(str(path)) == [str(path)]
    with pytest.raises(ImageError, match=rf"Cannot read .*a.{suffix}: .{{4}}"):
        read_image(str(path))


@pytest.mark.parametrize("kind", ["tar", "tfrecord"])
def test_of_an_archive_that_ends_in_the_middle_the_beginning_is_read(tmp_path, kind):
    make, names = MAKERS[kind]
    path = make(tmp_path)
    whole = (tmp_path / f"a.{kind}").read_bytes()
    end = whole.index(PHOTOS["blue.jpg"]) + 20
    (tmp_path / f"a.{kind}").write_bytes(whole[:end])
    found = find_photos(path)
    assert found[:2] == names(path)[:2]
    assert pixel(found[1]) == pixel(PHOTOS["lime.jpg"])
    with pytest.raises(ImageError, match=r"ends|end of"):
        read_image(found[-1])


def test_a_photo_that_is_broken_or_missing_is_one_failure(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("bad.jpg", b"no photo"), ("good.jpg", PHOTOS["red.jpg"])])
    for name, reason in (("bad.jpg", "not an image"), ("none.jpg", "it is not in there")):
        with pytest.raises(ImageError, match=f"a.tar::{name}: {reason}"):
            read_image(f"{path}::{name}")
    with pytest.raises(ImageError, match=r"memory://none/1.jpg: .*none/1.jpg"):
        read_image("memory://none/1.jpg")


def test_a_package_that_is_missing_is_said(monkeypatch, capsys, model_file):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert cli.main(["localize", "s3://bucket/photos", "--model", str(model_file)]) == 2
    assert (
        's3://bucket/photos needs the package fsspec: pip install "keras-cam[sources]"'
        in capsys.readouterr().err
    )


def test_the_command_line_makes_parts_of_sources(tmp_path, capsys, model_file):
    tar = write_tar(tmp_path / "a.tar", [*PHOTOS.items(), ("bad.jpg", b"no photo")])
    table = write_parquet(tmp_path / "b.parquet", name=list(PHOTOS), image=list(PHOTOS.values()))
    url = write_folder(f"memory://{tmp_path.name}", PHOTOS)
    (tmp_path / "list.txt").write_text(f"{table}\n{tar}::red.jpg\n")
    command = ["localize", tar, f"@{tmp_path / 'list.txt'}", url, "--model", str(model_file)]
    command += ["--parts", str(tmp_path / "out"), "--shard-size", "3", "--top-k", "1"]
    assert cli.main(command) == 1
    assert capsys.readouterr().out.startswith("13 photos, 13 rows in 5 parts")
    rows = parquet.read_table(
        sorted((tmp_path / "out").glob("*.parquet")), columns=["image", "error"]
    ).to_pylist()
    assert sorted(row["image"] for row in rows) == sorted(find_photos([tar, table, url]))
    [failed] = [row for row in rows if row["error"]]
    assert failed["image"] == f"{tar}::bad.jpg"
    write_tar(tmp_path / "a.tar", [*PHOTOS.items(), ("new.jpg", PHOTOS["red.jpg"])])
    assert cli.main(command) == 2
    assert "another plan, which differs in images_digest" in capsys.readouterr().err


def test_pictures_of_sources_have_the_names_of_their_photos(tmp_path, capsys, model_file):
    tar = write_tar(tmp_path / "a.tar", PHOTOS.items())
    assert cli.main(["localize", tar, "--model", str(model_file), "--output", str(tmp_path / "out")]) == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {f"{name}_cam.jpg" for name in COLOURS}
