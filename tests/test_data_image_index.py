"""Whatever a box is, it comes out inside the image or is told."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_cam.data import AnnotatedImage, ProblemKind
from keras_cam.data.image_index import ImageIndex, RawBox

WIDTH, HEIGHT = 40, 30


class Photo:
    def read(self):
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def add(xyxy, size_wh=(WIDTH, HEIGHT)):
    index = ImageIndex("here")
    index.add("a", Photo(), "here", 0, [RawBox("box", xyxy, 0)], size_wh)
    return index.finish(["cat"], strict=False)


@given(st.tuples(*[st.floats() | st.floats(-2, 42)] * 4))
def test_a_box_is_inside_the_image_or_told(xyxy):
    annotated = add(xyxy)
    [image] = annotated
    assert image.boxes_xyxy.dtype == np.float32
    if len(image.boxes_xyxy):
        [(x0, y0, x1, y1)] = image.boxes_xyxy
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        assert set(annotated.problem_counts) <= {ProblemKind.BOX_CLIPPED}
    else:
        assert sum(annotated.problem_counts.values()) == 1
        assert ProblemKind.BOX_CLIPPED not in annotated.problem_counts


@given(st.tuples(*[st.integers(0, n) for n in (WIDTH, HEIGHT)] * 2))
def test_a_box_inside_the_image_stays_as_it_is(corners):
    x0, y0, x1, y1 = np.sort(np.reshape(corners, (2, 2)), axis=0).ravel()
    annotated = add((x0, y0, x1, y1))
    if x0 < x1 and y0 < y1:
        assert annotated[0].boxes_xyxy.tolist() == [[x0, y0, x1, y1]]
    else:
        assert annotated.problem_counts == {ProblemKind.EMPTY_BOX: 1}


def test_a_sliver_that_rounding_closes_is_empty():
    assert add((1, 1, 1 + 1e-9, 9)).problem_counts == {ProblemKind.EMPTY_BOX: 1}


def test_without_a_size_only_what_needs_none_is_checked():
    assert add((1, 2, 300, 400), None)[0].boxes_xyxy.tolist() == [[1, 2, 300, 400]]
    assert add((1, 2, math.inf, 400), None).problem_counts == {ProblemKind.UNREADABLE_ANNOTATION: 1}


def test_a_photo_that_is_no_file_is_read_by_itself():
    assert add((1, 2, 3, 4))[0].read().shape == (HEIGHT, WIDTH, 3)
    assert AnnotatedImage("a", Photo(), 0, (0,)).read().shape == (HEIGHT, WIDTH, 3)
