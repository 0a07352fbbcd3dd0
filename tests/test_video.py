"""Videos: a record for each frame, smoothed maps, and videos with boxes."""

import json
import weakref

import cv2
import keras
import numpy as np
import pytest

import keras_cam
from keras_cam.cli.main import main
from keras_cam.images.files import ImageError
from keras_cam.images.video_files import VideoReader, video_writer
from keras_cam.inference import localize_video

FRAMES = 10


def frame_of(number):
    """96 x 64 pixels, black, with a green square of 32 that moves to the right by 5 pixels a frame."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:48, 5 * number : 5 * number + 32, 1] = 255
    return pixels


@pytest.fixture
def clip(tmp_path):
    with video_writer(tmp_path / "clip.mp4", fps=20) as write:
        for number in range(FRAMES):
            write(frame_of(number))
    return tmp_path / "clip.mp4"


@pytest.fixture
def colours(colour_classifier, tmp_path):
    keras_cam.build_localizer(colour_classifier, refine="none").save(tmp_path / "colours.keras")
    return str(tmp_path / "colours.keras")


def frames_in(path):
    return list(VideoReader(path))


def test_what_is_written_is_read_back(clip, tmp_path):
    reader = VideoReader(clip)
    assert (reader.fps, reader.frames) == (20, FRAMES)
    for number, frame in enumerate(reader):
        assert np.abs(frame.astype(int) - frame_of(number)).mean() < 5
    with video_writer(tmp_path / "odd.mp4", fps=20) as write:
        write(np.zeros((33, 51, 3), np.uint8))
    assert frames_in(tmp_path / "odd.mp4")[0].shape == (32, 50, 3)


def test_each_frame_has_a_record_whose_box_follows_the_object(clip, colour_classifier):
    records = list(localize_video(colour_classifier, clip, batch_size=4))
    assert [(record.frame, record.seconds) for record in records] == [
        (number, pytest.approx(number / 20)) for number in range(FRAMES)
    ]
    for number, record in enumerate(records):
        best = record.detections[0]
        assert best.label == "class 1"
        assert best.box_xyxy == pytest.approx((5 * number, 16, 5 * number + 32, 48), abs=9)
    written = records[3].to_dict()
    assert written["image"].endswith("clip-000003.png")
    assert (written["video"], written["frame"], written["seconds"]) == (str(clip), 3, 0.15)
    assert (written["map_kind"], written["map_method"], written["runtime"]) == ("exact", "cam", "tensorflow")


def test_smoothed_maps_and_scores_are_exponential_means(clip, colour_classifier):
    localizer = keras_cam.load_localizer(colour_classifier, refine="none")

    def maps_of(smooth):
        for record in localize_video(localizer, clip, batch_size=4, smooth=smooth):
            yield {found.class_id: found for found in record.detections}

    mean_map, mean_logits = None, None
    for frame, single, smoothed in zip(frames_in(clip), maps_of(0), maps_of(0.75), strict=True):
        maps = np.stack([single[class_id].activation_map for class_id in range(3)])
        logits = maps.mean(axis=(1, 2))
        mean_map = maps if mean_map is None else 0.75 * mean_map + 0.25 * maps
        mean_logits = logits if mean_logits is None else 0.75 * mean_logits + 0.25 * logits
        scores = np.exp(mean_logits) / np.exp(mean_logits).sum()
        for class_id in range(3):
            np.testing.assert_allclose(smoothed[class_id].activation_map, mean_map[class_id], atol=1e-5)
            assert smoothed[class_id].score == pytest.approx(scores[class_id], abs=1e-5)
        assert frame.shape == (64, 96, 3)


def test_frames_are_forgotten(clip, colour_classifier):
    records = localize_video(colour_classifier, clip, batch_size=2, smooth=0.5)
    first = weakref.ref(next(records).pixels)
    for _ in range(4):
        next(records)
    assert first() is None


def test_models_of_grey_images_take_videos_and_models_of_bands_do_not(clip):
    def model(channels):
        images = keras.Input((16, 24, channels))
        pooled = keras.layers.GlobalAveragePooling2D()(images)
        return keras.Model(images, keras.layers.Dense(1, kernel_initializer="ones")(pooled))

    first = next(localize_video(keras_cam.build_localizer(model(1), refine="none"), clip))
    assert first.detections[0].activation_map.max() == pytest.approx(150, abs=9)  # the luma of green
    with pytest.raises(ValueError, match=r"1 or 3 channels.* Received: a localizer of 5 channels"):
        localize_video(keras_cam.build_localizer(model(5), refine="none"), clip)
    with pytest.raises(ValueError, match=r"`smooth` must be in \[0, 1\). Received: smooth=1"):
        localize_video(keras_cam.build_localizer(model(1), refine="none"), clip, smooth=1)


def cut_off(clip, path):
    """A video whose end is missing."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (96, 64))
    for frame in frames_in(clip) * 5:
        writer.write(frame)
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_bad_video_does_not_end_the_batch(clip, colours, tmp_path, capfd):
    (tmp_path / "bad.mp4").write_text("no video")
    cut_off(clip, tmp_path / "cut.avi")
    names = [tmp_path / "bad.mp4", tmp_path / "cut.avi", tmp_path / "missing.mov", clip]
    output = tmp_path / "out"
    command = ["localize", *map(str, names), "--model", colours, "--smooth", "0.5", "--output", str(output)]
    assert main(command) == 1
    printed = capfd.readouterr()
    assert [line.split(": ")[1] for line in printed.err.splitlines()] == [
        f"Cannot read {name}" for name in names[:3]
    ]
    assert f"{clip}: {FRAMES} frames, " in printed.out
    assert [path.name for path in output.iterdir()] == ["clip_cam.mp4"]
    drawn = frames_in(output / "clip_cam.mp4")
    assert len(drawn) == FRAMES
    assert np.abs(drawn[0].astype(int) - frame_of(0)).mean() > 5


def test_frames_go_into_json_and_annotations(clip, colours, tmp_path, capfd):
    assert main(["localize", str(clip), "--model", colours, "--json"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    target = tmp_path / "boxes.json"
    command = ["localize", str(clip), "--model", colours, "--format", "coco", "--output", str(target)]
    assert main([*command, "--classes", "class 1"]) == 0
    document = json.loads(target.read_text())
    assert [len(document[key]) for key in ("images", "annotations")] == [FRAMES, FRAMES]
    assert main([*command, "--tiles", "64"]) == 2


def test_what_is_no_video_is_named(tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    for name in ("bad.mp4", "missing.mp4"):
        with pytest.raises(ImageError, match=f"Cannot read .*{name}: "):
            VideoReader(tmp_path / name)


def test_a_url_of_a_video_is_one_failure(colours, capfd):
    assert main(["localize", "memory://clips/clip.mp4", "--model", colours, "--json"]) == 1
    assert len(capfd.readouterr().err.splitlines()) == 1
