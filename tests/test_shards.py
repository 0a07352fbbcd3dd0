"""Any number of photos: parts that are whole or not there, and each photo exactly once, whatever happens."""

import errno
import json
import os
import random
import resource
import signal
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from keras_cam.cli import main as cli
from keras_cam.images.photo_list import read_photo_list
from keras_cam.inference import Detection, FailedImage, Localization
from keras_cam.shards import run as shards_run
from keras_cam.shards.engines import ENGINES, run_here
from keras_cam.shards.part_formats import COLUMNS, PART_FORMATS, counts_of_part
from keras_cam.shards.plan import PLAN_FILE, Plan, digest_of_names
from keras_cam.shards.run import SUCCESS_FILE, run_plan
from processes import KERAS_CAM, run_python, start_python
from shard_simulation import simulate

KILLS = 50
NAMES = [f"{number}.jpg" for number in range(23)]


def fake(images):
    """Two detections in a photo; every seventh photo has none, and every fifth cannot be read."""
    activation_map = np.arange(6, dtype=np.float32).reshape(2, 3)
    for name in images:
        number = int(Path(name).stem)
        found = (
            Detection(1, "cat", 0.75, (1.0, 2.0, 30.123, 40.0), activation_map),
            Detection(0, "dog", 0.25, None, activation_map),
        )
        if number % 5 == 0:
            yield FailedImage(name, f"Cannot read {name}: the file is empty")
        else:
            yield Localization(name, 64, 48, "m", () if number % 7 == 0 else found)


def plan_of(names=NAMES, shard_size=4, **others):
    return Plan(len(names), digest_of_names(names), shard_size, **others)


def table_of(folder):
    return pd.read_parquet(folder)


def check_each_once(folder, names=NAMES):
    table = table_of(folder)
    once = table[table["rank"].isna() | (table["rank"] == 1)]
    assert sorted(once["image"]) == sorted(names)
    counts = json.loads((folder / SUCCESS_FILE).read_text())
    assert (counts["images"], counts["rows"]) == (len(names), len(table))
    return table


def test_parts_have_a_row_for_each_detection_and_each_failure(tmp_path):
    plan = plan_of()
    counts = run_plan(plan, tmp_path, NAMES, fake, run_here)
    # Of 0..22, five are multiples of 5; 7, 14 and 21 have no detection; fifteen have two.
    assert counts == {"parts": 6, "images": 23, "failed": 5, "rows": 5 + 3 + 2 * 15}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [PLAN_FILE, SUCCESS_FILE, *(f"part-{shard:05}-of-00006.parquet" for shard in range(6))]
    )
    table = check_each_once(tmp_path)
    assert tuple(table.columns) == COLUMNS
    best, second = table[table["image"] == "1.jpg"].to_dict("records")
    assert (best["class_id"], best["label"], best["score"], best["rank"]) == (1, "cat", 0.75, 1)
    assert list(best["box"]) == [1.0, 2.0, 30.123, 40.0]
    assert (second["label"], second["rank"], second["box"]) == ("dog", 2, None)
    [failed] = table[table["image"] == "5.jpg"].to_dict("records")
    assert failed["error"] == "Cannot read 5.jpg: the file is empty"
    assert pd.isna(failed["class_id"])
    [empty] = table[table["image"] == "7.jpg"].to_dict("records")
    assert (pd.isna(empty["error"]), empty["width"], pd.isna(empty["rank"])) == (True, 64, True)


def test_parquet_has_the_documented_schema(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    run_plan(plan_of(NAMES[:2]), tmp_path, NAMES[:2], fake, run_here, maps=True)
    schema = parquet.read_schema(tmp_path / "part-00000-of-00001.parquet")
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        **dict.fromkeys(("image", "error", "label"), "string"),
        **dict.fromkeys(("width", "height", "class_id", "rank", "map_height", "map_width"), "int32"),
        "score": "double",
        "box": "list<element: double>",
        "map": "binary",
    }
    row = table_of(tmp_path).iloc[1]
    values = np.frombuffer(row["map"], "<f4").reshape(int(row["map_height"]), int(row["map_width"]))
    np.testing.assert_array_equal(values, [[0, 1, 2], [3, 4, 5]])


def test_both_formats_have_the_same_rows(tmp_path):
    rows = {}
    for name, row in PART_FORMATS.items():
        run_plan(plan_of(part_format=name), tmp_path / name, NAMES, fake, run_here)
        parts = sorted((tmp_path / name).glob(f"part-*{row.suffix}"))
        rows[name] = [one for part in parts for one in row.read(part, COLUMNS)]
    assert rows["jsonl"] == rows["parquet"]
    assert len(rows["jsonl"]) == 38


def test_a_run_goes_on_with_what_is_missing(tmp_path):
    run_plan(plan_of(), tmp_path, NAMES, fake, run_here)
    untouched = tmp_path / "part-00000-of-00006.parquet"
    before = untouched.stat().st_mtime_ns
    (tmp_path / "part-00002-of-00006.parquet").unlink()
    (tmp_path / SUCCESS_FILE).unlink()
    (tmp_path / ".part-00003-of-00006.77-aa.tmp.parquet").touch()  # by a process that was killed
    asked, done = [], []
    run_plan(
        plan_of(), tmp_path, NAMES, lambda images: asked.extend(images) or fake(images), run_here,
        on_images=done.append,
    )  # fmt: skip
    assert asked == NAMES[8:12]
    assert done == [19, 4]
    assert untouched.stat().st_mtime_ns == before
    assert not list(tmp_path.glob(".part*"))
    check_each_once(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1 garbage", None])
def test_a_broken_part_is_made_again(tmp_path, content):
    run_plan(plan_of(), tmp_path, NAMES, fake, run_here)
    part = tmp_path / "part-00001-of-00006.parquet"
    if content is None:  # whole, but with the photos of another part
        content = (tmp_path / "part-00005-of-00006.parquet").read_bytes()
    part.write_bytes(content)
    (tmp_path / SUCCESS_FILE).unlink()
    run_plan(plan_of(), tmp_path, NAMES, fake, run_here)
    check_each_once(tmp_path)


def test_a_part_that_may_not_be_read_is_made_again(tmp_path, monkeypatch):
    run_plan(plan_of(), tmp_path, NAMES, fake, run_here)
    (tmp_path / SUCCESS_FILE).unlink()
    refused, count = [tmp_path / "part-00001-of-00006.parquet"], shards_run.counts_of_part

    def may_not(path, *others):
        if path in refused:
            refused.remove(path)
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return count(path, *others)

    monkeypatch.setattr(shards_run, "counts_of_part", may_not)
    asked = []
    run_plan(plan_of(), tmp_path, NAMES, lambda images: asked.extend(images) or fake(images), run_here)
    assert (asked, refused) == (NAMES[4:8], [])
    check_each_once(tmp_path)


def test_parts_that_are_always_broken_end_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(shards_run, "write_part", lambda path, *_: path.write_bytes(b"half"))
    with pytest.raises(OSError, match="were broken 3 times"):
        run_plan(plan_of(), tmp_path, NAMES, fake, run_here)


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (plan_of(NAMES[::-1]), "images_digest"),
        (plan_of(shard_size=5), "shard_size"),
        (plan_of(model="other", options={"top_k": 2}), "model, options"),
        (plan_of(part_format="jsonl"), "part_format"),
    ],
)
def test_another_plan_in_the_same_folder_is_refused(tmp_path, other, names):
    plan_of().save(tmp_path)
    plan_of().save(tmp_path)
    with pytest.raises(ValueError, match=f"another plan, which differs in {names}$"):
        other.save(tmp_path)
    (tmp_path / PLAN_FILE).write_text("[1]")
    with pytest.raises(ValueError, match="is no plan"):
        plan_of().save(tmp_path)


def test_of_many_plans_at_the_same_time_one_wins(tmp_path):
    together, refused = threading.Barrier(8), []

    def save(number):
        together.wait()
        try:
            plan_of(model=str(number)).save(tmp_path)
        except ValueError:
            refused.append(number)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = json.loads((tmp_path / PLAN_FILE).read_text())["model"]
    assert sorted(refused) == [number for number in range(8) if str(number) != winner]


def test_plans_say_what_they_cannot_do():
    for wrong in ({"images": 0}, {"shard_size": 0}, {"part_format": "xml"}):
        with pytest.raises(ValueError, match=r"must be at least 1, and `part_format` one of"):
            replace(plan_of(), **wrong)


def test_slices_are_a_partition(tmp_path):
    plan = plan_of()
    for number in (3, 1, 2):
        counts = run_plan(plan, tmp_path, NAMES, fake, run_here, among=plan.slice(number, 3))
        assert (counts is None) == (number != 2)
    check_each_once(tmp_path)
    slices = [shard for number in range(1, 101) for shard in plan.slice(number, 100)]
    assert sorted(slices) == list(range(6))


def test_a_full_disk_keeps_what_is_there(tmp_path, monkeypatch):
    written = []
    write = shards_run.write_part

    def full(path, *others):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        write(path, *others)

    monkeypatch.setattr(shards_run, "write_part", full)
    with pytest.raises(OSError, match="No space left"):
        run_plan(plan_of(), tmp_path, NAMES, fake, run_here)
    assert len(list(tmp_path.glob("part-*"))) == 2
    monkeypatch.setattr(shards_run, "write_part", write)
    run_plan(plan_of(), tmp_path, NAMES, fake, run_here)
    check_each_once(tmp_path)


def test_files_that_cannot_grow_are_said_and_the_same_command_goes_on(
    tmp_path, capsys, photo_list, model_file
):
    command = arguments(photo_list, model_file, tmp_path / "out", "--part-format", "jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1600, hard))  # the plan is smaller, a part of 15 rows is not
    try:
        assert cli.main(command) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large. What is there is kept: run the same command again" in capsys.readouterr().err
    assert (tmp_path / "out" / PLAN_FILE).exists()
    assert not list((tmp_path / "out").glob("*part-00000*"))
    assert cli.main(command) == 1  # two photos are bad
    assert json.loads((tmp_path / "out" / SUCCESS_FILE).read_text())["images"] == 12


def test_two_drivers_at_once_make_the_same_parts(tmp_path):
    def slow(images):
        time.sleep(random.random() / 100)
        return fake(images)

    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(run_plan(plan_of(), tmp_path, NAMES, slow, run_here)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [counts[0]] * 4
    check_each_once(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_unreliable_workers_lose_and_repeat_nothing(tmp_path):
    counts = simulate(tmp_path, shards=300, workers=20, photos=3)  # which checks the parts
    assert counts["photos"] == 900
    assert (counts["driver deaths"], counts["deaths"] > 0, counts["duplicates"] > 0) == (2, True, True)


def test_lists_may_have_repeated_names_and_names_of_several_lines(tmp_path, monkeypatch):
    lines = tmp_path / "photos.txt"
    lines.write_bytes(b"a.jpg\n\nb c.jpg\na.jpg\n\xff.jpg\n")
    assert read_photo_list(lines) == ["a.jpg", "b c.jpg", "\udcff.jpg"]
    lines.write_bytes(b"a\nb.jpg\0c.jpg\0a\nb.jpg\0")
    assert read_photo_list(lines) == ["a\nb.jpg", "c.jpg"]


def test_digests_tell_lists_apart():
    assert digest_of_names(["a", "b"]) != digest_of_names(["b", "a"])
    assert digest_of_names(["ab"]) != digest_of_names(["a", "b"])
    assert digest_of_names(["\udcff"]) != digest_of_names(["\ufffd"])


# Through the command line.


@pytest.fixture(scope="module")
def photo_list(tmp_path_factory):
    """A NUL-separated list of 12 photos, one of them named on two lines, one broken, one missing."""
    folder = tmp_path_factory.mktemp("photos")
    names = [folder / ("two\nlines.png" if number == 3 else f"{number}.png") for number in range(12)]
    for name in names[:11]:
        Image.new("RGB", (40, 30), "lime").save(name)
    names[5].write_bytes(b"no photo")
    path = folder / "photos.txt"
    path.write_bytes(b"\0".join(os.fsencode(name) for name in [*names, names[0]]))
    return path


def names_in(photo_list):
    return read_photo_list(photo_list)


def arguments(photo_list, model_file, folder, *others):
    options = ("--model", model_file, "--parts", folder, "--shard-size", 5, *others)
    return list(map(str, ("localize", f"@{photo_list}", *options)))


def test_the_command_line_writes_parts_and_says_what_failed(tmp_path, capsys, photo_list, model_file):
    command = arguments(photo_list, model_file, tmp_path / "out", "--top-k", 2)
    assert cli.main(command) == 1
    out, err = capsys.readouterr()
    assert out == f"12 photos, 22 rows in 3 parts: {tmp_path / 'out'}\n"
    assert err == "keras-cam: 2 photos could not be read; their rows say why\n"
    table = check_each_once(tmp_path / "out", names_in(photo_list))
    assert (table["label"].dropna().unique() == ["class 1", "class 0"]).all()
    assert cli.main(command) == 1  # and nothing is left to do
    assert capsys.readouterr().out == out
    assert cli.main([*command, "--top-k", "1"]) == 2
    assert "another plan, which differs in options" in capsys.readouterr().err
    assert cli.main([*command, "--json"]) == 2
    assert "--parts does not go with --json" in capsys.readouterr().err
    assert cli.main([*command, "--images-dir", "."]) == 2
    assert "--parts does not go with --images-dir" in capsys.readouterr().err
    assert cli.main([*command, "--window", "9", "3"]) == 2
    assert "LOW < HIGH" in capsys.readouterr().err


def test_parts_of_a_model_with_a_window_of_values(tmp_path, capsys, photo_list, model_file):
    assert cli.main(arguments(photo_list, model_file, tmp_path / "out", "--window", 0, 255)) == 1
    assert capsys.readouterr().out == f"12 photos, 32 rows in 3 parts: {tmp_path / 'out'}\n"


@pytest.mark.parametrize("option", [["--slice", "1/2"], ["--maps"], ["--on", "ray"]])
def test_options_of_parts_need_a_folder_for_the_parts(capsys, option):
    assert cli.main(["localize", "photo.jpg", *option]) == 2
    assert f"{option[0]} goes with --parts" in capsys.readouterr().err


def test_slices_of_the_command_line_finish_together(tmp_path, capsys, photo_list, model_file):
    command = arguments(photo_list, model_file, tmp_path / "out")
    assert cli.main([*command, "--slice", "2/2"]) == 0
    assert capsys.readouterr().out == f"1 of 3 parts are there: {tmp_path / 'out'}\n"
    assert cli.main([*command, "--slice", "1/2"]) == 1
    check_each_once(tmp_path / "out", names_in(photo_list))
    with pytest.raises(SystemExit):
        cli.main([*command, "--slice", "3/2"])
    assert "must be I/N, where I is from 1 to N. Received: 3/2" in capsys.readouterr().err


def test_a_list_that_cannot_be_read_is_said(tmp_path, capsys, model_file):
    assert cli.main(arguments(tmp_path / "none.txt", model_file, tmp_path / "out")) == 2
    assert "must be a list of photos. Received: No such file" in capsys.readouterr().err


def test_a_list_also_stands_for_photos_without_parts(tmp_path, capsys, photo_list, model_file):
    assert cli.main(["localize", f"@{photo_list}", "--model", str(model_file), "--json"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 10


@pytest.fixture(scope="module")
def tiny_litert(colour_classifier, tmp_path_factory):
    """`colour_classifier` as a LiteRT file, which other processes open without TensorFlow."""
    import keras_cam
    from keras_cam.export import save_litert

    file = tmp_path_factory.mktemp("litert") / "colours.tflite"
    return save_litert(keras_cam.build_localizer(colour_classifier), file)


@pytest.mark.sweep
def test_fifty_kills_lose_and_repeat_nothing(tmp_path, photo_list, tiny_litert, report_count):
    rng, start = random.Random(0), time.monotonic()
    run_python(*KERAS_CAM, *arguments(photo_list, tiny_litert, tmp_path / "whole", "--shard-size", 1))
    duration = time.monotonic() - start
    for attempt in range(KILLS):
        folder = tmp_path / str(attempt)
        command = (*KERAS_CAM, *arguments(photo_list, tiny_litert, folder, "--shard-size", 1))
        process = start_python(*command)
        time.sleep(rng.uniform(duration / 4, duration))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert all(counts_of_part(part, "parquet")["images"] == 1 for part in folder.glob("part-*"))
        assert run_python(*command).returncode == 1
        check_each_once(folder, names_in(photo_list))
    report_count("kills of localize --parts", KILLS)


# On engines: real local clusters.

_ON_AN_ENGINE = """
import os, signal, sys, time
from pathlib import Path
from keras_cam.images.photo_list import read_photo_list
from keras_cam.shards.engines import ENGINES
from keras_cam.shards.photo_localizer import PhotoLocalizer
from keras_cam.shards.plan import Plan, digest_of_names
from keras_cam.shards.run import run_plan

engine, model, photos, folder = sys.argv[1:]
notes, names = Path(folder).parent, read_photo_list(photos)
photo_localizer = PhotoLocalizer(model)

def localize(images):
    (notes / f"worker-{os.getpid()}").touch()
    time.sleep(0.3)
    if images[0] == names[3] and not (notes / "killed").exists():
        (notes / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return list(photo_localizer(images))

if engine == "ray":
    import ray
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
plan = Plan(len(names), digest_of_names(names), 1)
print(run_plan(plan, Path(folder), names, localize, ENGINES[engine].run)["failed"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "local"])
def test_engines_survive_the_death_of_a_worker_and_of_the_driver(tmp_path, photo_list, tiny_litert, engine):
    package = ENGINES[engine].package
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: the extra {ENGINES[engine].extra}")
    folder, deadline = tmp_path / "out", time.monotonic() + 200
    command = ("-c", _ON_AN_ENGINE, engine, tiny_litert, photo_list, folder)
    driver = start_python(*command)
    while len(list(folder.glob("part-*"))) < 4 and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.02)
    driver.kill()
    _, errors = driver.communicate()
    workers = {int(path.name.split("-")[1]) for path in tmp_path.glob("worker-*")}
    has_workers = workers != {driver.pid}
    assert (4 if has_workers else 0) <= len(list(folder.glob("part-*"))) < 12, errors
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, workers)), "workers must end with their driver"
    again = run_python(*command)
    if not has_workers and again.returncode == -signal.SIGKILL:  # the driver is the worker
        again = run_python(*command)
    assert again.stdout.splitlines()[-1:] == ["2"], again.stderr  # one photo is broken, one is missing
    assert (tmp_path / "killed").exists()
    check_each_once(folder, names_in(photo_list))


def test_an_engine_that_is_not_installed_is_said(tmp_path, capsys, monkeypatch, photo_list, model_file):
    monkeypatch.setitem(ENGINES, "ray", replace(ENGINES["ray"], package="no_such_package"))
    assert cli.main(arguments(photo_list, model_file, tmp_path / "out", "--on", "ray")) == 2
    message = 'This engine needs the package no_such_package: pip install "keras-cam[ray]"'
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def is_alive(process):
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False
